import numpy as np
import pytest

from tf_student.pairs import records


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
