import json
import shutil
import typing

import numpy as np
import pytest
import tensorflow as tf

from tests.client import saved_models
from tests.serving.metadata_test import VERSION_0_1
from tf_student.gallery.exported_models import ExportedModel
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("export")
    saved_models.write(base / "9")
    saved_models.write(base / "10", calls=5)
    return base


@pytest.fixture(scope="module")
def model(base):
    return ExportedModel(str(base / "9"))


@pytest.fixture(scope="module")
def signatures(base):
    loaded = tf.saved_model.load(str(base / "9"))
    yield loaded.signatures
    # The functions do not keep their variables alive.
    del loaded


def _pixels(drawn):
    return np.stack([tf.io.decode_png(png).numpy() for png in drawn.pngs])


def _int64(value):
    return tf.constant(value, tf.int64)


def test_shape_is_that_of_the_images(model):
    assert model.shape == (8, 8, 3)


def test_limit_comes_from_the_metadata(base, model, tmp_path):
    assert model.limit is None
    shutil.copytree(base / "9", tmp_path / "1")
    kinds = typing.get_type_hints(metadata.Metadata)
    values = {name: kind() for name, kind in kinds.items()}
    about = metadata.Metadata(**{**values, "image_shape": (8, 8, 3), "max_count": 5})
    metadata.write(str(tmp_path / "1"), about)
    assert ExportedModel(str(tmp_path)).limit == 5


def test_export_of_version_0_1_is_shown(base, tmp_path):
    shutil.copytree(base / "9", tmp_path / "1")
    (tmp_path / "1" / "assets.extra").mkdir()
    path = tmp_path / "1" / "assets.extra" / "metadata.json"
    path.write_text(json.dumps(VERSION_0_1))
    assert ExportedModel(str(tmp_path)).limit == VERSION_0_1["max_count"]


def test_damaged_metadata_are_one_line(base, tmp_path):
    shutil.copytree(base / "9", tmp_path / "1")
    (tmp_path / "1" / "assets.extra").mkdir()
    (tmp_path / "1" / "assets.extra" / "metadata.json").write_text("{}")
    with pytest.raises(InputError, match=r"metadata.json is damaged"):
        ExportedModel(str(tmp_path))


def test_seed_gives_the_signatures_images(model, signatures):
    expected = signatures["sample"](seed=_int64(2**63 - 1), count=tf.constant(3))
    drawn = model.sample(2**63 - 1, 3)
    np.testing.assert_array_equal(_pixels(drawn), expected["images"])
    assert 0 < drawn.seconds < 5


def test_interpolation_gives_the_signatures_images(model, signatures):
    expected = signatures["interpolate"](
        seed_a=_int64(3), seed_b=_int64(4), steps=tf.constant(5)
    )
    drawn = model.interpolate(3, 4, 5)
    np.testing.assert_array_equal(_pixels(drawn), expected["images"])


def test_refused_count_is_one_line(model):
    with pytest.raises(InputError, match=r"^assertion failed: .count must") as raised:
        model.sample(0, 0)
    assert "\n" not in str(raised.value)


def test_newest_version_is_loaded(base, model):
    darker = _pixels(ExportedModel(str(base)).sample(0, 2)).astype(int)
    assert darker.mean() < _pixels(model.sample(0, 2)).mean() - 10


@pytest.mark.parametrize("name", ["", "absent"])
def test_missing_model_is_named(tmp_path, name):
    with pytest.raises(InputError, match=r"has no SavedModel; `tf-student export`"):
        ExportedModel(str(tmp_path / name))


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.index"])
def test_damaged_model_is_one_line(tmp_path, part):
    saved_models.write(tmp_path / "1")
    path = tmp_path / "1" / part
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=f"^{tmp_path}/1 cannot be loaded: ") as raised:
        ExportedModel(str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["twice"], "interpolate and sample. Received: twice."),
        (["sample", "interpolate"], "cannot draw a seed: "),
    ],
)
def test_model_with_other_signatures_is_refused(tmp_path, names, message):
    module = tf.Module()
    spec = tf.TensorSpec([], tf.float32, "x")
    module.twice = tf.function(lambda x: {"y": 2 * x}, input_signature=[spec])
    signatures = dict.fromkeys(names, module.twice)
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    with pytest.raises(InputError) as raised:
        ExportedModel(str(tmp_path))
    assert message in str(raised.value) and "\n" not in str(raised.value)
