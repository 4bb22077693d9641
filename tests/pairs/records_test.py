import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs import manifests, records
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def test_plan_cuts_each_split_into_shards(plan):
    assert [(s.name, s.first_index, s.pairs) for s in plan().shards] == [
        ("pairs-train.tfrecord-00000-of-00003", 0, 4),
        ("pairs-train.tfrecord-00001-of-00003", 4, 4),
        ("pairs-train.tfrecord-00002-of-00003", 8, 2),
        ("pairs-held_out.tfrecord-00000-of-00002", 2**40, 4),
        ("pairs-held_out.tfrecord-00001-of-00002", 2**40 + 4, 1),
    ]


def test_planned_set_is_not_complete(plan):
    manifest = plan()
    assert not manifest.complete
    written = [dataclasses.replace(s, sha256="0") for s in manifest.shards]
    assert dataclasses.replace(manifest, shards=tuple(written)).complete


def test_png_cannot_hold_every_number_of_channels(plan):
    with pytest.raises(InputError, match="encoding=png, channels=2"):
        plan(shape=(4, 4, 2), encoding="png")


def test_noise_digest_depends_on_the_seed(plan):
    assert plan().noise_sha256 == plan(pairs=99).noise_sha256
    assert plan().noise_sha256 != plan(pairs_seed=1).noise_sha256


def test_stored_noise_needs_no_digest(plan):
    assert plan(store_noise=True).noise_sha256 == ""


def test_manifest_survives_its_file(plan, tmp_path):
    manifest = plan(store_noise=True, encoding="png")
    manifests.write(str(tmp_path), manifest)
    assert manifests.read(str(tmp_path)) == manifest


def _edit(directory, **changes):
    path = Path(directory) / "manifest.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(values))


def test_newer_version_is_refused(plan, tmp_path):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, version=2)
    with pytest.raises(InputError, match="Expected: 1, received: 2"):
        manifests.read(str(tmp_path))


def test_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no manifest.json"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "", "\x00\x01"])
def test_manifest_that_is_no_json_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest.json is not valid JSON"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize("change", [{"shards": [{"nme": 1}]}, {"image_shape": None}])
def test_manifest_with_other_fields_is_damaged(plan, tmp_path, change):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, **change)
    with pytest.raises(InputError, match=r"manifest.json is damaged"):
        manifests.read(str(tmp_path))


def test_manifest_with_an_unknown_option_is_refused(plan, tmp_path):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, sampler={"spacing": "uniform", "calls": 3, "eta": 1.0})
    with pytest.raises(InputError, match="no option named eta"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "b"}, "Expected: teacher='a teacher', received: 'b'."),
        ({"pairs": 11}, "Expected: pairs=10, received: 11."),
        ({"pairs_seed": 1}, "Expected: noise_sha256="),
        ({"encoding": "png"}, "Expected: encoding='raw', received: 'png'."),
        (
            {"sampler": SamplerConfig(calls=4)},
            "Expected: calls=3, received: 4.",
        ),
        (
            {"run": RunConfig(dtype="bfloat16")},
            "Expected: dtype='float32', received: 'bfloat16'.",
        ),
    ],
)
def test_first_difference_is_named(plan, change, message):
    assert manifests.differences(plan(), plan(**change)).startswith(message)


def test_equal_sets_do_not_differ(plan):
    assert manifests.differences(plan(), plan()) == ""


@pytest.mark.parametrize("encoding", ["raw", "png"])
@pytest.mark.parametrize("store_noise", [False, True])
def test_record_survives_encoding(plan, encoding, store_noise):
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    z = np.random.default_rng(1).normal(size=(4, 4, 3)).astype(np.float32)
    record = records.encode(7, image, z if store_noise else None, encoding)
    pair = records.decode(record, plan(encoding=encoding, store_noise=store_noise))
    assert int(pair["index"]) == 7
    np.testing.assert_array_equal(pair["image"].numpy(), image)
    assert ("noise" in pair) == store_noise
    if store_noise:
        np.testing.assert_array_equal(pair["noise"].numpy(), z)


def test_equal_records_are_equal_bytes():
    image, z = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.float32)
    assert len({records.encode(1, image, z, "raw") for _ in range(20)}) == 1


def test_raw_record_takes_its_pixels_and_little_more():
    image = np.zeros((4, 4, 3), np.uint8)
    assert len(records.encode(2**40, image, None, "raw")) - 48 < 48
