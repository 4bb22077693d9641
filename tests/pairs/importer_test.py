import dataclasses

import numpy as np
import pytest

from tf_student.pairs import import_sources, importer, manifests, records
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError


@pytest.fixture
def bring(plan, tmp_path):
    def run(source, name="pairs", **changes):
        opened = import_sources.open_source(str(source))
        manifest = plan(
            pairs=opened.count(manifests.TRAIN),
            held_out_pairs=opened.count(manifests.HELD_OUT),
            store_noise=True,
            **changes,
        )
        directory = str(tmp_path / name)
        importer.write_imported(directory, manifest, opened)
        return directory

    return run


def test_noise_and_images_are_those_of_the_files(original, bring):
    pair_set = PairSet(bring(original))
    z, images = zip(*pair_set.held_out().as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(z, np.load(original / "x_test.npy").astype("f"))
    np.testing.assert_array_equal(images, np.load(original / "y_test.npy"))
    stored = np.stack(list(pair_set.images().as_numpy_iterator()))
    expected = [np.load(original / f"y_train_{i}.npy") for i in (0, 1)]
    np.testing.assert_array_equal(stored, np.concatenate(expected))


def test_an_interrupted_import_continues(original, bring, contents, monkeypatch):
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
    """A pair set is a TFDS dataset itself."""
    first = bring(original, "first")
    second = bring(first, "second")
    images = [list(PairSet(d).images().as_numpy_iterator()) for d in (first, second)]
    assert sorted(i.tobytes() for i in images[0]) == sorted(
        i.tobytes() for i in images[1]
    )


def test_noise_that_is_not_finite(original, bring):
    np.save(original / "x_test.npy", np.full((2, 4, 4, 3), np.nan, np.float16))
    with pytest.raises(
        InputError, match="The noise of pair 1,099,511,627,776 must be finite"
    ):
        bring(original)


def test_a_source_that_ends_too_early(original, plan, tmp_path):
    source = import_sources.open_source(str(original))
    manifest = plan(pairs=9, held_out_pairs=2, store_noise=True)
    message = "hold 9 training pairs and 2 .* It ended in train before pair 7"
    with pytest.raises(InputError, match=message):
        importer.write_imported(str(tmp_path / "pairs"), manifest, source)


def test_a_generated_set_differs_from_an_imported_one(plan):
    manifest = plan(pairs=7, held_out_pairs=2, store_noise=True)
    imported = dataclasses.replace(manifest, imported=True)
    difference = manifests.differences(imported, manifest)
    assert difference == "Expected: imported=True, received: False."


def test_the_manifest_says_that_noise_is_stored(original, bring):
    manifest = manifests.read(bring(original))
    assert manifest.pairs.store_noise and manifest.noise_sha256 == ""
    assert dataclasses.replace(manifest.pairs).pairs == 7
