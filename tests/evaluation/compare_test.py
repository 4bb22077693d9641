import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.data import datasets, grids
from tf_student.data.data_config import DataConfig
from tf_student.evaluation import extractors
from tf_student.evaluation.compare import compare
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

_SMALL = EvaluateConfig(
    samples=40, repeats=2, extractor="digits", same_noise=16, cache_features=False
)


@pytest.fixture
def compared(tmp_path):
    """Compares two sources."""

    def run(source, against="", **changes):
        return compare(
            str(source),
            str(against),
            str(tmp_path / "out"),
            config=dataclasses.replace(_SMALL, **changes),
            sampler=TINY.sampler,
            run=RUN,
        )

    return run


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Digits as a folder, as arrays, and as statistics."""
    folder = tmp_path_factory.mktemp("sets")
    digits = datasets.digits()[0]
    (folder / "pngs").mkdir()
    for number, image in enumerate(digits[:90]):
        grids.write_png(str(folder / "pngs" / f"{number:03}.png"), image)
    np.savez(folder / "images.npz", first=digits[:90], second=digits[90:300])
    extractor = extractors.load("digits", devices.make_strategy())
    stats = extractor.extract([digits], "digits").statistics
    stats.save(str(folder / "ours.npz"))
    np.savez(folder / "theirs.npz", mu=stats.mean, sigma=stats.covariance)
    return folder


def test_a_folder_and_an_array_of_the_same_images_are_equal(compared, sets):
    evaluation = compared(sets / "pngs", f"{sets}/images.npz:first", samples=90)
    scores = evaluation.networks["source"].scores
    assert abs(scores["FID"].mean) < 1e-4
    assert scores["precision"].mean == scores["coverage"].mean == 1
    assert (evaluation.real_count, evaluation.preparation) == (90, "as they are")
    assert evaluation.networks["source"].images == str(sets / "pngs")


def test_features_are_cached(compared, sets, tmp_path, monkeypatch):
    first = compared(sets / "pngs", cache_features=True)
    names = sorted(os.listdir(tmp_path / "out" / "features"))

    def never(*arguments):
        raise AssertionError("extracted twice")

    monkeypatch.setattr(extractors, "FixedBatches", lambda *a, **k: never)
    second = compared(sets / "pngs", cache_features=True)
    assert sorted(os.listdir(tmp_path / "out" / "features")) == names
    assert second == first


def test_features_are_not_cached_if_disabled(compared, sets, tmp_path):
    compared(sets / "pngs")
    assert "features" not in os.listdir(tmp_path / "out")


def test_number_of_real_images_may_be_limited(compared, sets):
    evaluation = compared(sets / "pngs", max_real=300, fid_infinity=True)
    assert (evaluation.real, evaluation.real_count) == ("digits", 300)
    assert np.isfinite(evaluation.networks["source"].scores["FID-infinity"].mean)


def test_a_set_of_images_has_as_many_ranges_as_fit(compared, sets):
    assert compared(sets / "pngs", "digits").networks["source"].ranges == 2
    assert compared(sets / "pngs", samples=60).networks["source"].ranges == 1


@pytest.mark.parametrize("name", ["ours.npz", "theirs.npz"])
def test_statistics_take_the_place_of_images(compared, sets, name):
    whole = compared(sets / "pngs", "digits").networks["source"].scores
    evaluation = compared(sets / "pngs", sets / name)
    scores = evaluation.networks["source"].scores
    assert list(scores) == ["FID", "IS"]
    np.testing.assert_allclose(scores["FID"].mean, whole["FID"].mean, rtol=1e-9)
    assert evaluation.half_split_fid is None
    warnings = [w for w in evaluation.warnings if "does not store the extractor" in w]
    assert len(warnings) == (name == "theirs.npz")


def test_two_files_of_statistics_need_no_extractor(compared, sets):
    evaluation = compared(sets / "ours.npz", sets / "theirs.npz", extractor="inception")
    assert abs(evaluation.networks["source"].scores["FID"].mean) < 1e-4
    assert evaluation.extractor == "those of the statistics files"


def test_a_student_and_its_export_give_the_same_images(compared, demo_run):
    evaluation = compared(demo_run / "export", demo_run.matched)
    assert evaluation.same_noise.pairs == 16
    # XLA and batches round differently, by one grey level at most.
    assert evaluation.same_noise.l1 < 0.01
    assert evaluation.networks["source"].milliseconds > 0


def test_requests_to_an_export_are_no_larger_than_it_accepts(
    compared, demo_run, tmp_path
):
    small = ExportConfig(max_count=3)
    directory = export(
        demo_run.student, str(tmp_path / "small"), config=small, preset="digits"
    ).directory
    evaluation = compared(directory, demo_run.student)
    assert evaluation.same_noise.pairs == 16
    assert evaluation.same_noise.l1 < 0.01


def test_a_teacher_is_distinguished_from_a_student(compared, demo_run):
    evaluation = compared(demo_run.teacher, demo_run.student)
    assert evaluation.networks["source"].calls == 3
    assert evaluation.real_count == 40


def test_ranges_of_a_generator_have_different_noise(compared, demo_run):
    # The first range has the noise of the reference, and therefore no distance to it.
    evaluation = compared(demo_run.student, demo_run.student)
    assert evaluation.networks["source"].scores["FID"].mean > 1e-3


def test_too_few_images_of_a_set_are_an_error(compared, sets, tmp_path):
    with pytest.raises(InputError, match=r"`samples` must be at most 90, .*samples=91"):
        compared(sets / "pngs", samples=91)
    assert not (tmp_path / "out").exists()


def test_sets_of_two_sizes_are_an_error(compared, sets, tmp_path):
    np.savez(tmp_path / "large.npz", np.zeros([50, 9, 9, 1], np.uint8))
    with pytest.raises(
        InputError, match=r"one size. Received: \[8, 8, 1\] and \[9, 9,"
    ):
        compared(sets / "pngs", tmp_path / "large.npz")


def test_a_folder_of_two_sizes_is_an_error(compared, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, size in (("a", 8), ("b", 9)):
        grids.write_png(
            str(folder / f"{name}.png"), np.zeros([size, size, 1], np.uint8)
        )
    with pytest.raises(InputError, match=r"b\.png must have the height and width of"):
        compared(folder, "digits", samples=2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros([50, 8, 8, 1], np.float32), "must hold uint8 images .* float32"),
        (np.ones([50, 8, 8, 1], np.uint8), "values of 0 to 255. Received: .* 0 to 1"),
        (np.zeros([0, 8, 8, 1], np.uint8), r"Received: uint8 \[0, 8, 8, 1\]"),
        (np.zeros([50, 8, 8, 3], np.uint8), "must be the channels of digits, 1"),
    ],
)
def test_arrays_that_are_no_images_are_an_error(compared, tmp_path, array, message):
    np.savez(tmp_path / "bad.npz", array)
    with pytest.raises(InputError, match=message):
        compared(tmp_path / "bad.npz", "digits")


def test_statistics_of_another_extractor_are_an_error(compared, sets, tmp_path):
    with np.load(sets / "ours.npz") as arrays:
        np.savez(tmp_path / "b.npz", **{**arrays, "extractor": "sha256:1"})
    with pytest.raises(
        InputError, match=r"one extractor. Received: sha256:1 and digits"
    ):
        compared(sets / "pngs", tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/at/all", r"`source` must exist. Received: source=/nowhere/at/all"),
        ("no_such_dataset", r"Received: dataset=no_such_dataset"),
        ("/nowhere/a.npz", r"/nowhere/a.npz"),
    ],
)
def test_missing_sources_are_named(compared, source, message):
    with pytest.raises(InputError, match=message):
        compared(source)


def test_nothing_is_written_without_a_directory(sets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(_SMALL, cache_features=True)
    evaluation = compare(str(sets / "pngs"), config=config, run=RUN)
    assert evaluation.real == "digits"
    assert list(tmp_path.iterdir()) == []


def test_real_images_may_be_named(sets):
    name = str(sets / "pngs")
    by_name = compare(f"{sets}/images.npz:second", real=name, config=_SMALL, run=RUN)
    assert (by_name.real, by_name.real_count) == (name, 90)
    data = DataConfig(name)
    by_config = compare(f"{sets}/images.npz:second", real=data, config=_SMALL, run=RUN)
    assert by_config == by_name


def test_a_saved_model_of_floats_is_an_error(compared, tmp_path):
    class Floats(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32)])
        def serve(self, noise):
            return {"images": noise}

    module = Floats()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.serve)
    with pytest.raises(InputError, match=r"must return uint8 images, .* float32"):
        compared(tmp_path / "m")
