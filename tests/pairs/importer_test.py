import dataclasses

import numpy as np
import pytest

from tf_student.pairs import importer, manifests, records
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError


@pytest.fixture
def original(tmp_path):
    """Two files of training pairs and one of held-out pairs, as the authors wrote."""
    rng = np.random.default_rng(0)
    for name, count in {"train_0": 4, "train_1": 3, "test": 2}.items():
        z = rng.normal(size=(count, 4, 4, 3)).astype(np.float16)
        images = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
        np.save(tmp_path / f"x_{name}.npy", z)
        np.save(tmp_path / f"y_{name}.npy", images)
    return tmp_path


@pytest.fixture
def bring(plan, tmp_path):
    def run(source, name="pairs", **changes):
        found = importer.open_pairs(str(source))
        manifest = plan(
            pairs=found.count(manifests.TRAIN),
            held_out_pairs=found.count(manifests.HELD_OUT),
            store_noise=True,
            **changes,
        )
        directory = str(tmp_path / name)
        importer.import_pairs(directory, manifest, found)
        return directory

    return run


def test_noise_and_images_are_those_of_the_files(original, bring):
    pair_set = PairSet(bring(original))
    z, images = zip(*pair_set.held_out().as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(z, np.load(original / "x_test.npy").astype("f"))
    np.testing.assert_array_equal(images, np.load(original / "y_test.npy"))
    found = np.stack(list(pair_set.images().as_numpy_iterator()))
    expected = [np.load(original / f"y_train_{i}.npy") for i in (0, 1)]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_an_interrupted_import_goes_on(original, bring, contents, monkeypatch):
    whole = contents(bring(original, "whole"))
    encode, calls = records.encode, []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 6:
            raise RuntimeError("killed")
        return encode(*arguments)

    monkeypatch.setattr(records, "encode", dies)
    with pytest.raises(RuntimeError):
        bring(original)
    monkeypatch.setattr(records, "encode", encode)
    assert contents(bring(original)) == whole


def test_pairs_of_tfds(original, bring, contents):
    """Our own sets open with TFDS, so one of them serves."""
    first = bring(original, "first")
    second = bring(first, "second")
    images = [list(PairSet(d).images().as_numpy_iterator()) for d in (first, second)]
    assert sorted(i.tobytes() for i in images[0]) == sorted(
        i.tobytes() for i in images[1]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: (p / "y_test.npy").unlink(), "must hold x_train_0.npy"),
        (lambda p: (p / "x_train_1.npy").unlink(), "x_train_1.npy or its images"),
        (lambda p: (p / "y_train_0.npy").write_bytes(b"garbage"), "cannot be read"),
        (lambda p: (p / "y_train_0.npy").write_bytes(b""), "cannot be read"),
        (
            lambda p: np.save(p / "x_test.npy", np.zeros((2, 4, 4, 3), int)),
            "must hold float16 or float32. Received: int64",
        ),
        (
            lambda p: np.save(p / "y_test.npy", np.zeros((2, 4, 4, 3), "f")),
            r"must hold uint8 .* Received: float32 \(2, 4, 4, 3\)",
        ),
        (
            lambda p: np.save(p / "y_test.npy", np.zeros((2, 5, 5, 3), np.uint8)),
            "must hold noise and images of one shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused(original, change, message):
    change(original)
    with pytest.raises(InputError, match=message):
        importer.open_pairs(str(original))


def test_noise_that_is_not_finite(original, bring):
    np.save(original / "x_test.npy", np.full((2, 4, 4, 3), np.nan, np.float16))
    with pytest.raises(InputError, match="Noise must be finite"):
        bring(original)


def test_a_source_that_ends_too_early(original, plan, tmp_path):
    found = importer.open_pairs(str(original))
    manifest = plan(pairs=9, held_out_pairs=2, store_noise=True)
    with pytest.raises(InputError, match="It ended in train before pair 7"):
        importer.import_pairs(str(tmp_path / "pairs"), manifest, found)


def test_a_made_set_is_no_imported_one(original, bring, plan):
    manifest = plan(pairs=7, held_out_pairs=2, store_noise=True)
    imported = dataclasses.replace(manifest, imported=True)
    difference = manifests.differences(imported, manifest)
    assert difference == "Expected: imported=True, received: False."


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="`import_from` must be a folder"):
        importer.open_pairs(str(tmp_path / "nothing"))


def test_tfds_without_noise(write):
    with pytest.raises(InputError, match="must have features noise and image"):
        importer.open_pairs(write())


def test_the_manifest_says_that_noise_is_stored(original, bring):
    manifest = manifests.read(bring(original))
    assert manifest.pairs.store_noise and manifest.noise_sha256 == ""
    assert dataclasses.replace(manifest.pairs).pairs == 7
