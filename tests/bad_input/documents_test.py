"""Damaged documents are refused in one line that names the document."""

import itertools
import json
import shutil

import pytest

from tests.bad_input import documents, many_runs

_WORK = "--work_dir={here}"
_TEACHER_READERS = (
    ("verify-teacher", _WORK),
    ("pairs", _WORK),
    ("distill", _WORK),
    ("sample", _WORK, "--network=teacher"),
    ("export", _WORK, "--network=teacher"),
    ("convert", "--from={here}/teacher", "--to={here}/new"),
)
_STUDENT_READERS = (
    ("sample", _WORK),
    ("interpolate", _WORK),
    ("export", _WORK),
    ("evaluate", _WORK),
    ("convert", "--from={here}/student", "--to={here}/new"),
)
_EXPORT_READERS = (("rollout", _WORK, "--no_wait"), ("gallery", _WORK, "--port=0"))


def _faults(root, place, contents, readers, *names):
    inputs = documents.written(root, place, contents, readers, *names)
    return len(inputs), many_runs.faults(inputs, root)


@pytest.mark.parametrize(
    ("network", "readers"),
    [("teacher", _TEACHER_READERS), ("student", _STUDENT_READERS)],
)
def test_config_of_a_run(root, network, readers):
    valid = json.loads((root / "whole" / network / "config.json").read_text())
    place = f"{network}/config.json"
    # A run without weights ends with what is missing.
    ends = (place, "model.keras", f"{network} must ", f"{network} has ", "`network`")
    some = itertools.islice(documents.fields(valid), 0, None, 3)
    contents = [*documents.whole(valid), *some]
    count, found = _faults(root, place, contents, readers, *ends)
    assert found == {} and count > 80


def test_metadata_of_a_model(root):
    valid = json.loads((root / "whole/export/1/assets.extra/metadata.json").read_text())
    place = "export/1/assets.extra/metadata.json"
    contents = [*documents.whole(valid), *documents.fields(valid)]
    readers = _EXPORT_READERS[1:]
    inputs = documents.written(root, place, contents, readers, place, "/export")
    for folder in (root / "documents").iterdir():
        if (folder / place).exists():
            (folder / "export/1/saved_model.pb").touch()
            source = root / "whole/export/models.config"
            shutil.copy(source, folder / "export/models.config")
    assert len(inputs) > 100
    assert many_runs.faults(inputs, root) == {}


def test_list_of_versions(root):
    text = (root / "whole/export/models.config").read_bytes()
    contents = [
        *documents.NO_OBJECTS,
        text[: len(text) // 2],
        text.replace(b"versions: 1", b"versions: " + b"9" * 50),
        text.replace(b"versions: 1", b"versions: -1"),
        b"\x1b[31m\n" * 3,
    ]
    place = "export/models.config"
    names = (place, "`export_dir`")
    _, found = _faults(root, place, contents, _EXPORT_READERS[:1], *names)
    assert found == {}


def test_manifest_of_pairs(root):
    valid = json.loads((root / "whole/pairs/manifest.json").read_text())
    readers = (
        ("distill", "--teacher_dir={root}/whole/teacher", _WORK),
        ("pairs", "--teacher_dir={root}/whole/teacher", _WORK, "--check"),
    )
    some = itertools.islice(documents.fields(valid), 0, None, 40)
    contents = [*documents.whole(valid), *some]
    names = ("manifest.json", "{here}/pairs", "/pairs", "shards")
    _, found = _faults(root, "pairs/manifest.json", contents, readers, *names)
    assert found == {}


def test_weights(root):
    valid = (root / "whole/student/model.keras").read_bytes()
    config = (root / "whole/student/config.json").read_bytes()
    place = "student/model.keras"
    contents = documents.archives(valid)
    readers = (("export", _WORK), ("interpolate", _WORK))
    inputs = documents.written(root, place, contents, readers, "model.keras")
    for path in (root / "documents").glob(f"*/{place}"):
        path.with_name("config.json").write_bytes(config)
    assert many_runs.faults(inputs, root) == {}


def test_arrays_of_images(root):
    readers = (("teacher", _WORK, "--dataset={here}/a.npz"),)
    _, found = _faults(root, "a.npz", documents.arrays(), readers, "a.npz", "`dataset`")
    assert found == {}


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.h5", "a/config.json"])
def test_published_weights(root, name):
    source = name.removesuffix("/config.json")
    readers = (("convert", f"--from={{here}}/{source}", "--to={here}/new"),)
    valid = (root / "whole/student/model.keras").read_bytes()
    contents = [*documents.NO_OBJECTS, *documents.archives(valid)]
    names = (name, source, "`source`", "from")
    _, found = _faults(root, name, contents, readers, *names)
    assert found == {}
