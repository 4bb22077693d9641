import dataclasses
import os
import signal
import subprocess
import sys
from unittest import mock

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, saved_model, versions

needs_library = pytest.mark.skipif(
    not ops.library_loaded(), reason="the op's library was not built"
)


def _graph(directory):
    path = os.path.join(directory, "saved_model.pb")
    with open(path, "rb") as file:
        return SavedModel.FromString(file.read()).meta_graphs[0].graph_def


def _operations(graph):
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return [node.op for node in nodes]


def test_first_version_is_1_and_the_next_2(model, tmp_path):
    base = str(tmp_path / "models" / "tiny")
    paths = [saved_model.write(base, model.served, model.about) for _ in range(2)]
    assert [os.path.relpath(path, base) for path in paths] == ["1", "2"]
    assert sorted(os.listdir(base)) == ["1", "2", "batching.config", "models.config"]


def test_existing_version_is_refused_and_intact(model, directory, contents):
    base, before = os.path.dirname(directory), contents(os.path.dirname(directory))
    with pytest.raises(InputError, match="Received: version=1"):
        saved_model.write(base, model.served, model.about, version=1)
    assert contents(base) == before


def test_another_model_is_refused(model, directory, contents):
    base, before = os.path.dirname(directory), contents(os.path.dirname(directory))
    other = dataclasses.replace(model.about, name="other")
    with pytest.raises(InputError, match="Expected: name=tiny, received: name=other"):
        saved_model.write(base, model.served, other)
    assert contents(base) == before


def test_failed_export_leaves_no_version(model, tmp_path, monkeypatch):
    def full(module, path, **kwargs):
        with open(os.path.join(path, "saved_model.pb"), "w") as file:
            file.write("half of it")
        raise tf.errors.ResourceExhaustedError(None, None, "no space left")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        saved_model.write(str(tmp_path), model.served, model.about)
    assert list(tmp_path.iterdir()) == []


# A generator with one weight, and an export that is killed when all is written.
_KILLED = """
import os, sys
import tensorflow as tf
from tf_student.serving import saved_model
from tf_student.serving.metadata import Metadata
from tf_student.serving.signatures import ServedModel

weight = tf.Variable(1.0)
served = ServedModel(lambda z: weight * z, [weight], (8, 8, 3), 4)
values = dict.fromkeys(Metadata.__dataclass_fields__, "")
values |= {"name": "tiny", "image_shape": (8, 8, 3), "max_count": 4, "ops": "stock"}
values = Metadata(**values)
saved_model.write(sys.argv[1], served, values, check=lambda _: os.kill(os.getpid(), 9))
"""


def test_leftovers_of_a_killed_export_are_removed_by_the_next(model, tmp_path):
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = os.listdir(tmp_path)
    assert left.startswith("1.tmp-") and "saved_model.pb" in os.listdir(tmp_path / left)
    (tmp_path / "9.tmp-0123abcd").mkdir()
    (tmp_path / "models.config.tmp-0123abcd").touch()
    saved_model.write(str(tmp_path), model.served, model.about)
    assert sorted(os.listdir(tmp_path)) == ["1", "batching.config", "models.config"]


def _settings(directory):
    files = ("models.config", "batching.config")
    return [(directory / name).read_text() for name in files]


def test_export_that_was_killed_before_the_settings_is_continued(model, tmp_path):
    undisturbed = saved_model.write(
        str(tmp_path / "a"), model.served, model.about, version=7
    )
    with mock.patch.object(versions, "write_settings", side_effect=KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            saved_model.write(str(tmp_path / "b"), model.served, model.about, version=7)
    other = dataclasses.replace(model.about, fingerprint="another network")
    with pytest.raises(InputError, match="`version` must not exist yet"):
        saved_model.write(str(tmp_path / "b"), model.served, other, version=7)
    again = saved_model.write(str(tmp_path / "b"), model.served, model.about, version=7)
    assert again == undisturbed.replace("/a/", "/b/")
    assert metadata.read(again) == metadata.read(undisturbed)
    assert _settings(tmp_path / "b") == _settings(tmp_path / "a")
    with pytest.raises(InputError, match="`version` must not exist yet"):
        saved_model.write(str(tmp_path / "b"), model.served, model.about, version=7)


def test_second_export_at_the_same_time_is_refused(model, tmp_path):
    def check(directory):
        with pytest.raises(InputError, match="Another process writes to"):
            saved_model.write(str(tmp_path), model.served, model.about)
        assert os.path.isdir(directory)

    saved_model.write(str(tmp_path), model.served, model.about, check=check)
    assert sorted(os.listdir(tmp_path)) == ["1", "batching.config", "models.config"]


def test_unchecked_version_never_has_a_number(model, tmp_path):
    def check(directory):
        assert tf.saved_model.contains_saved_model(directory)
        assert not os.path.basename(directory).isdigit()
        raise RuntimeError("it differs")

    with pytest.raises(RuntimeError, match="it differs"):
        saved_model.write(str(tmp_path), model.served, model.about, check=check)
    assert list(tmp_path.iterdir()) == []


def test_operations_are_stock_and_the_network_is_stored_once(directory, model):
    operations = _operations(_graph(directory))
    assert not [name for name in operations if name.startswith("TfStudent")]
    kernels = [v for v in model.student.variables if len(v.shape) == 4]
    assert operations.count("Conv2D") == len(kernels) > 10


def test_weights_are_stored_once(model, directory):
    data = os.path.join(directory, "variables", "variables.data-00000-of-00001")
    assert os.path.getsize(data) < 4 * model.about.parameters + 20_000


@needs_library
def test_fused_operations_by_choice(fused_directory):
    assert "TfStudent>GroupNormSilu" in _operations(_graph(fused_directory))
    assert ops.get_mode() == "auto"


def test_fused_operations_need_the_library(model, tmp_path, monkeypatch):
    monkeypatch.setattr(ops, "_library", lambda: None)
    about = dataclasses.replace(model.about, ops="fused")
    with pytest.raises(InputError, match="`ops`: mode='on' needs the fused op"):
        saved_model.write(str(tmp_path), model.served, about)
    assert list(tmp_path.iterdir()) == []


def test_no_warm_up_without_the_protocol(model, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model.warmup, "available", lambda: False)
    directory = saved_model.write(str(tmp_path), model.served, model.about, warm="all")
    assert os.listdir(os.path.join(directory, "assets.extra")) == ["metadata.json"]
