import dataclasses
import json
from pathlib import Path

import pytest

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.pairs import manifests
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def test_plan_divides_each_split_into_shards(plan):
    assert [(s.name, s.first_index, s.pairs) for s in plan().shards] == [
        ("pairs-train.tfrecord-00000-of-00003", 0, 4),
        ("pairs-train.tfrecord-00001-of-00003", 4, 4),
        ("pairs-train.tfrecord-00002-of-00003", 8, 2),
        ("pairs-held_out.tfrecord-00000-of-00002", 2**40, 4),
        ("pairs-held_out.tfrecord-00001-of-00002", 2**40 + 4, 1),
    ]


def test_planned_set_is_incomplete(plan):
    manifest = plan()
    assert not manifest.complete
    written = [dataclasses.replace(s, sha256="0") for s in manifest.shards]
    assert dataclasses.replace(manifest, shards=tuple(written)).complete


def test_png_does_not_support_two_channels(plan):
    with pytest.raises(InputError, match=r"4 channels.*encoding=png, channels=2"):
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


def test_newer_version_is_unsupported(plan, tmp_path):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, version=2)
    with pytest.raises(InputError, match=r"unsupported .*Expected: 1, received: 2"):
        manifests.read(str(tmp_path))


def test_directory_without_a_manifest_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"holds no manifest.json, so it is not a"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"teacher": None},
        {"image_shape": [4, 4]},
        {"image_shape": [4.0, 4, 3]},
        {"image_shape": [10**9, 10**9, 3]},
        {"image_shape": [0, 4, 3]},
        {"diffusion": []},
        {"sampler": None},
        {"sampler": {"calls": 10**9}},
        {"pairs": {"pairs": 10**12}},
        {"pairs": "all"},
        {"dtype": "float8"},
        {"device_batch": 0},
        {"device_batch": 10**400},
        {"noise_sha256": 7},
        {"shards": None},
        {"shards": {}},
        {"shards": [[]] * 5},
        {"imported": "no"},
    ],
)
def test_manifest_with_another_value_is_damaged(plan, tmp_path, change):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, **change)
    with pytest.raises(InputError, match=r"^[^\n]*manifest.json is damaged: [^\n]*$"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize("text", ["[]", "null", "7", '"text"'])
def test_manifest_that_is_no_object_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest.json must hold a JSON object"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "", "\x00\x01"])
def test_manifest_that_is_not_json_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest.json is not valid JSON"):
        manifests.read(str(tmp_path))


@pytest.mark.parametrize("change", [{"shards": [{"nme": 1}]}, {"image_shape": None}])
def test_manifest_with_other_fields_is_damaged(plan, tmp_path, change):
    manifests.write(str(tmp_path), plan())
    _edit(tmp_path, **change)
    with pytest.raises(InputError, match=r"manifest.json is damaged"):
        manifests.read(str(tmp_path))


def test_manifest_with_an_unknown_option_is_an_error(plan, tmp_path):
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


def test_another_teacher_is_an_error(plan):
    manifests.check_teacher("runs/pairs", plan(), "a teacher", DiffusionConfig())
    message = "runs/pairs was made by another teacher. Expected: a teacher, received: b"
    with pytest.raises(InputError, match=message):
        manifests.check_teacher("runs/pairs", plan(), "b", DiffusionConfig())
    other = DiffusionConfig(prediction="v")
    message = "another process. Expected: prediction='epsilon', received: 'v'"
    with pytest.raises(InputError, match=message):
        manifests.check_teacher("runs/pairs", plan(), "a teacher", other)


def test_noise_of_another_tensorflow_is_an_error(plan):
    manifests.check_noise("runs/pairs", plan())
    other = dataclasses.replace(plan(), noise_sha256="0" * 64)
    with pytest.raises(InputError, match="runs/pairs was made with noise that this"):
        manifests.check_noise("runs/pairs", other)
    manifests.check_noise("runs/pairs", plan(store_noise=True))


def test_fingerprint_includes_the_digests(plan):
    manifest = plan()
    shards = (dataclasses.replace(manifest.shards[0], sha256="1"), *manifest.shards[1:])
    changed = dataclasses.replace(manifest, shards=shards)
    assert manifests.fingerprint(manifest) == manifests.fingerprint(plan())
    assert manifests.fingerprint(manifest) != manifests.fingerprint(changed)
    # A student's metadata has it, so it must not change between versions.
    assert manifests.fingerprint(manifest) == (
        "c64925c987f930eaa324dc1b039a3541a06529aa03bf124a77fc28b65f697333"
    )
