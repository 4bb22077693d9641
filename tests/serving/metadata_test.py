import dataclasses
import json

import pytest

from tf_student.runtime.errors import InputError
from tf_student.serving import metadata

# As version 0.1 wrote it.
VERSION_0_1 = {
    "name": "digits",
    "network": "student",
    "preset": "digits",
    "network_calls": 1,
    "image_shape": [8, 8, 1],
    "max_count": 16384,
    "parameters": 44969,
    "weights": "ema",
    "dtype": "float32",
    "ops": "stock",
    "fingerprint": "b7eae5f4",
    "teacher": "ae24b999",
    "pairs": "dfeddaca",
    "tf_student": "0.1.0",
    "tensorflow": "2.21.0",
}


def _write(directory, text):
    (directory / "assets.extra").mkdir()
    (directory / "assets.extra" / "metadata.json").write_text(text)


def test_written_metadata_can_be_read(model, tmp_path):
    assert not metadata.exists(str(tmp_path))
    metadata.write(str(tmp_path), model.about)
    assert metadata.exists(str(tmp_path))
    assert metadata.read(str(tmp_path)) == model.about


def test_metadata_of_version_0_1_can_be_read(tmp_path):
    _write(tmp_path, json.dumps(VERSION_0_1))
    values = dataclasses.asdict(metadata.read(str(tmp_path)))
    added = {"objective": "", "classes": 0}
    assert values == {**VERSION_0_1, "image_shape": (8, 8, 1), **added}
    assert list(values) == [*VERSION_0_1, *added]


def test_missing_metadata_are_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"has no assets.extra/metadata.json, which"):
        metadata.read(str(tmp_path))


@pytest.mark.parametrize("text", ["[]", "{}", '{"image_shape": [8, 8, 1]}', "{"])
def test_damaged_metadata_are_an_input_error(tmp_path, text):
    _write(tmp_path, text)
    with pytest.raises(InputError, match=r"metadata.json (is|must hold a JSON)"):
        metadata.read(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 7}, "`name` must be a string"),
        ({"image_shape": [8, 8]}, "`image_shape` must be a sequence of 3 integers"),
        ({"image_shape": [10**9, 8, 1]}, "`image_shape` must have 1 to 268,435,456"),
        ({"max_count": 0}, "`max_count` must be 1 to 2147483647"),
        ({"max_count": 1.5}, "`max_count` must be an integer"),
        ({"network_calls": True}, "`network_calls` must be an integer"),
    ],
)
def test_metadata_of_another_type_are_an_input_error(tmp_path, change, message):
    _write(tmp_path, json.dumps({**VERSION_0_1, **change}))
    with pytest.raises(InputError, match=f"metadata.json is damaged: {message}"):
        metadata.read(str(tmp_path))
