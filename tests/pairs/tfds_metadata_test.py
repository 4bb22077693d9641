import numpy as np
import pytest
import tensorflow_datasets as tfds


@pytest.mark.parametrize("encoding", ["raw", "png"])
@pytest.mark.parametrize("store_noise", [False, True])
def test_tfds_opens_the_folder(write, make_sampler, encoding, store_noise):
    sampler = make_sampler()
    directory = write(
        sample=sampler, batch=100, encoding=encoding, store_noise=store_noise
    )
    builder = tfds.builder_from_directory(directory)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert counts == {"train": 10, "held_out": 5}
    pairs = list(tfds.as_numpy(builder.as_dataset("train")))
    noise = np.concatenate(sampler.fed[:3])
    order = [int(pair["index"]) for pair in pairs]
    assert sorted(order) == list(range(10))
    images = np.stack([pair["image"] for pair in pairs])
    np.testing.assert_array_equal(images, make_sampler()(noise[order]))
    assert ("noise" in pairs[0]) == store_noise
    if store_noise:
        stored = np.stack([pair["noise"] for pair in pairs])
        np.testing.assert_array_equal(stored, noise[order])
