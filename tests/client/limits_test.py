import math

import pytest

from tf_student.client import arrays, limits
from tf_student.runtime.errors import ServerError


@pytest.mark.parametrize("sizes", [["-1", "32", "16", "3"], [-1, 32, 16, 3]])
def test_shape_is_that_of_an_image(sizes):
    assert limits.image_shape(sizes, 16, "the server") == (32, 16, 3)


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [-1, 3],
        [8, 8, 8, 3],
        [-1, -1, 8, 3],
        [-1, 8, 8, 0],
        ["-1", "8", "8", "٣"],
        ["-1", "8", "8", "03"],
        ["-1", "8", "8", "9" * 5000],
        [-1, 8, 8, math.inf],
        [-1, 8, 8, 3.0],
        [-1, 8, 8, True],
        [-1, 8, 8, None],
        [-1, 8, 8, [[[3]]]],
        [-1, 8, 8, {"size": 3}],
        range(10**6),
    ],
    ids=lambda sizes: "",
)
def test_other_shapes_are_refused(sizes):
    with pytest.raises(ServerError, match=r"must take noise \[n, height, width") as e:
        limits.image_shape(sizes, 1, "the server")
    assert len(str(e.value)) < 300 and "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([-1, 999999999, 999999999, 3], 1),
        ([-1, 2**12, 2**12, 1], 2),
        ([-1, 32, 32, 3], 2**31 - 1),
        ([-1, 8, 8, 5], 1),
    ],
)
def test_large_images_are_refused(sizes, count):
    message = r"1 to 4 channels, and `count` of them must have at most 16,777,216 numb"
    with pytest.raises(ServerError, match=message) as raised:
        limits.image_shape(sizes, count, "the server")
    assert f"Received: count={count}, images {sizes[1:]}." in str(raised.value)


def test_the_largest_export_fits():
    assert limits.image_shape([-1, 1024, 1024, 4], 4, "the server")


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 8, 3), (64, 64, 4)])
def test_noise_is_far_from_the_limits(shape):
    """PNGs cannot be longer: noise is not compressible."""
    images = arrays.noise(0, 8, shape).view("uint8").reshape(8, *shape, 4)[..., 0]
    size = sum(map(len, arrays.pngs(images)))
    assert size < limits.binary_bytes(8, shape) / 1.5
    assert 4 / 3 * size + 8 * 20 < limits.base64_bytes(8, shape) / 1.5
    spacious = str((images // 200 * 0 + 255).tolist()).replace(",", ",     ")
    assert len(spacious) < limits.list_bytes(8, shape)


def test_pngs_have_the_requested_number_and_size():
    files = arrays.pngs(arrays.noise(0, 2, (4, 6, 3)).astype("uint8"))
    limits.check_pngs(files, 2, (4, 6, 3), "the server")
    with pytest.raises(ServerError, match=r"must return 3 images. Received: 2\."):
        limits.check_pngs(files, 3, (4, 6, 3), "the server")
    with pytest.raises(ServerError, match=r"PNG files of 4 times 6 pixels"):
        limits.check_pngs(files, 2, (6, 4, 3), "the server")
    with pytest.raises(ServerError, match="must return PNG files"):
        limits.check_pngs([files[0], b"GIF89a"], 2, (4, 6, 3), "the server")


def test_a_line_is_short_and_printable():
    assert limits.one_line(" a\n\tb\x1b[31m\u202ec\x00") == "a b [31m c"
    assert limits.one_line("x" * 10**7) == "x" * 500
