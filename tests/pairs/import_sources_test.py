from pathlib import Path

import numpy as np
import pytest

from tf_student.pairs import import_sources, manifests
from tf_student.runtime.errors import InputError


def test_arrays_have_their_counts_and_shape(original):
    source = import_sources.open_source(str(original))
    assert source.image_shape == (4, 4, 3)
    assert source.count(manifests.TRAIN) == 7
    assert source.count(manifests.HELD_OUT) == 2


def test_arrays_are_read_in_the_order_of_their_numbers(original):
    """`train_10` comes after `train_1`, not before it."""
    for name in "xy":
        (original / f"{name}_train_0.npy").rename(original / f"{name}_train_10.npy")
    pairs = list(import_sources.open_source(str(original)).pairs(manifests.TRAIN))
    expected = [np.load(original / f"x_train_{i}.npy").astype("f4") for i in (1, 10)]
    np.testing.assert_array_equal([z for z, _ in pairs], np.concatenate(expected))
    assert pairs[0][0].dtype == np.float32


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
            "must hold noise and images of the same shape",
        ),
    ],
)
def test_damaged_or_unsuitable_arrays_are_errors(original, change, message):
    change(original)
    with pytest.raises(InputError, match=message):
        import_sources.open_source(str(original))


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="`source` must be a folder"):
        import_sources.open_source(str(tmp_path / "nothing"))


def test_tfds_without_noise(write):
    with pytest.raises(InputError, match="must have the features noise and image"):
        import_sources.open_source(write())


def test_tfds_without_a_split(write):
    directory = Path(write(store_noise=True))
    path = directory / "dataset_info.json"
    path.write_text(path.read_text().replace('"held_out"', '"test"'))
    with pytest.raises(InputError, match="must have the splits train and held_out"):
        import_sources.open_source(str(directory))


def test_tfds_of_other_dtypes(write):
    directory = Path(write(store_noise=True))
    path = directory / "features.json"
    path.write_text(path.read_text().replace('"float32"', '"float64"'))
    message = r"`noise` must be float16 or float32 .* Received: float64 of \(4, 4, 3\)"
    with pytest.raises(InputError, match=message):
        import_sources.open_source(str(directory))


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"splits": 7}', "\x00"])
def test_damaged_metadata_of_tfds_are_one_line(write, name, text):
    directory = Path(write(store_noise=True))
    (directory / name).write_text(text)
    with pytest.raises(InputError) as error:
        import_sources.open_source(str(directory))
    assert str(error.value).startswith(str(directory))
    assert "\n" not in str(error.value)
