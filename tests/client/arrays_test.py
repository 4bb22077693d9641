import json
import math

import numpy as np
import pytest
import tensorflow as tf

from tf_student.client import arrays
from tf_student.runtime.errors import ServerError


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_has_the_image(channels):
    shape = (5, 7, channels)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    files = arrays.pngs(images)
    assert all(file.startswith(b"\x89PNG\r\n\x1a\n") for file in files)
    decoded = [tf.io.decode_png(file) for file in files]
    np.testing.assert_array_equal(decoded, images)


def test_lists_become_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 2), np.uint8)
    values = json.loads(json.dumps(images.tolist()))
    read = arrays.from_lists(values, 3, (4, 5, 2), "the server")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, images)


def _nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "values",
    [
        None,
        "1",
        {"0": 1},
        [],
        [[[1]]],
        [[[[1]], [[1]]]],
        [[[[1], [1]]]],
        [[[[1, 2]], [[1, 2]]], [[[1, 2]], [[1, 2]]]],
        [[[[1, 2]], [[1]]]],
        [[[[1, 2]], [[1, 256]]]],
        [[[[1, 2]], [[1, -1]]]],
        [[[[1, 2]], [[1, 10**100]]]],
        [[[[1, 2]], [[1, 2.0]]]],
        [[[[1, 2]], [[1, math.nan]]]],
        [[[[1, 2]], [[1, True]]]],
        [[[[1, 2]], [[1, "2"]]]],
        [[[[1, 2]], ["12"]]],
        [[[[1, 2]], [[1, None]]]],
        [[[[1, 2]], [[1, [2]]]]],
        _nested(900),
    ],
    ids=lambda values: "",
)
def test_other_lists_are_refused(values):
    with pytest.raises(ServerError, match=r"server must return images \[1, 2, 1, 2\]"):
        arrays.from_lists(values, 1, (2, 1, 2), "the server")


def test_noise_is_normal_and_a_function_of_its_seed():
    first, again, other = (
        arrays.noise(s, 500, (8, 8, 3)) for s in (2**63 - 1,) * 2 + (4,)
    )
    assert first.dtype == np.float32 and first.shape == (500, 8, 8, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(first.mean()) < 0.02 and abs(first.std() - 1) < 0.02
