import itertools
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_student import datasets
from tf_student.config import DataConfig
from tf_student.errors import InputError

RNG = np.random.default_rng(0)


def load(dataset, shape=(8, 8, 3), **kwargs) -> datasets.ImageSet:
    return datasets.load(DataConfig(str(dataset), **kwargs), shape)


def all_images(image_set: datasets.ImageSet) -> np.ndarray:
    return np.stack(list(image_set.images().as_numpy_iterator()))


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def write_png(path, image: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


# Digits.


def test_digits_are_the_1797_of_the_uci_repository():
    images, labels = datasets.digits()
    assert (images.shape, images.dtype) == ((1797, 8, 8, 1), np.uint8)
    assert (labels.shape, labels.dtype) == ((1797,), np.uint8)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts


def test_digits_load_unchanged():
    image_set = load("digits", (8, 8, 1))
    assert image_set.count == 1797
    assert np.array_equal(all_images(image_set), datasets.digits()[0])


def test_digits_span_the_whole_range():
    images, _ = datasets.digits()
    assert (images.min(), images.max()) == (0, 255)


def test_wrong_channels_are_refused():
    assert refusal(lambda: load("digits", (8, 8, 3))) == (
        "`channels` must be the channels of digits, 1. Received: channels=3."
    )


# Arrays.


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "images.npz"
    train = RNG.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.savez(path, train=train, test=255 - train[:2])
    return path, train


def test_npz_holds_an_array_a_split(npz):
    path, train = npz
    assert np.array_equal(all_images(load(path)), train)
    assert np.array_equal(all_images(load(path, split="test")), 255 - train[:2])


def test_npz_of_one_array_needs_no_split(tmp_path):
    array = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", array)
    assert load(tmp_path / "a.npz").count == 2


def test_npz_without_the_split_is_refused(npz):
    path, _ = npz
    assert refusal(lambda: load(path, split="valid")) == (
        f"`split` must name an array of {path}: train, test. Received: split=valid."
    )


def test_a_missing_npz_is_refused():
    assert refusal(lambda: load("/no/such.npz")) == (
        "`dataset` names no file. Received: /no/such.npz."
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"nonsense"])
def test_a_damaged_npz_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert refusal(lambda: load(path)).startswith(f"{path} is not an .npz file: ")


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "float32 [2, 8, 8, 3]"),
        (np.zeros((2, 8, 8), np.uint8), "uint8 [2, 8, 8]"),
        (np.zeros((0, 8, 8, 3), np.uint8), "uint8 [0, 8, 8, 3]"),
    ],
)
def test_an_array_that_is_no_stack_of_images_is_refused(tmp_path, array, received):
    path = tmp_path / "a.npz"
    np.savez(path, array)
    assert refusal(lambda: load(path)) == (
        f"{path} must hold uint8 images [n, height, width, channels]. "
        f"Received: {received}."
    )


# Folders.


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    images = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    write_png(tmp_path / "b.png", images[1])
    write_png(tmp_path / "c" / "a.PNG", images[2])
    write_png(tmp_path / "a.png", images[0])
    (tmp_path / "notes.txt").write_text("no image")
    assert np.array_equal(all_images(load(tmp_path)), images)


def test_the_shorter_side_is_fitted_and_the_centre_cropped(tmp_path):
    # 16 rows of 32: halved to 8 by 16, of which columns 4..11 stay.
    columns = np.repeat(np.arange(16) * 10, 2)
    image = np.broadcast_to(columns[None, :, None], (16, 32, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", image)
    fitted = all_images(load(tmp_path))[0]
    assert fitted.shape == (8, 8, 3)
    # Antialiasing mixes neighbours, but a ramp stays a ramp.
    np.testing.assert_allclose(fitted[3, :, 0], np.arange(4, 12) * 10, atol=1)


def test_resizing_is_antialiased(tmp_path):
    # Stripes in the two middle columns of each four, which plain bilinear sampling
    # would hit every time; antialiased, about their mean is left.
    stripes = np.tile(np.array([0, 255, 255, 0], np.uint8), 8)
    image = np.broadcast_to(stripes[None, :, None], (32, 32, 3))
    write_png(tmp_path / "a.png", image)
    fitted = all_images(load(tmp_path))[0]
    assert np.all(np.abs(fitted.astype(int) - 127.5) < 40)


def test_a_smaller_image_is_enlarged(tmp_path):
    write_png(tmp_path / "a.png", np.full((4, 6, 3), 77, np.uint8))
    assert np.array_equal(all_images(load(tmp_path))[0], np.full((8, 8, 3), 77))


def test_a_grey_image_gets_the_channels_that_were_asked_for(tmp_path):
    write_png(tmp_path / "a.png", np.full((8, 8, 1), 9, np.uint8))
    assert np.array_equal(all_images(load(tmp_path))[0], np.full((8, 8, 3), 9))


def test_an_unreadable_image_is_named(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    image_set = load(tmp_path)
    text = refusal(image_set.diagnose)
    assert text.startswith(f"{tmp_path / 'b.png'} is not a readable image: ")
    assert "\n" not in text


def test_readable_images_pass_the_diagnosis(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    load(tmp_path).diagnose()


def test_a_folder_without_images_is_refused(tmp_path):
    assert refusal(lambda: load(tmp_path)) == (
        "`dataset` must be a folder with .png, .jpg, .jpeg, .bmp files. "
        f"Received: {tmp_path}."
    )


# TFDS.


@pytest.fixture(scope="module")
def celeb_a(tmp_path_factory):
    """A data directory with TFDS' own celeb_a, of three images that the test made.

    Red is the row, green the column, blue the number of the image.
    """
    data_dir = str(tmp_path_factory.mktemp("tfds"))
    builder = tfds.builder("celeb_a", data_dir=data_dir)

    def zeros(feature):
        if isinstance(feature, tfds.features.FeaturesDict):
            return {name: zeros(part) for name, part in feature.items()}
        return np.zeros(feature.shape, feature.np_dtype)

    def example(number):
        rows, columns = np.indices((218, 178))
        image = np.stack([rows, columns, np.full_like(rows, number)], axis=-1)
        png = tf.io.encode_png(image.astype(np.uint8)).numpy()
        others = {k: zeros(v) for k, v in builder.info.features.items() if k != "image"}
        return {**others, "image": png}

    def splits(self, download_manager):
        return {"train": ((i, example(i)) for i in range(3))}

    with mock.patch.object(type(builder), "_split_generators", splits):
        builder.download_and_prepare()
    return data_dir


def test_celeba_is_cropped_to_rows_57_to_184_and_columns_25_to_152(celeb_a):
    image_set = load("celeb_a", (128, 128, 3), data_dir=celeb_a)
    images = all_images(image_set)
    assert image_set.count == len(images) == 3
    for image in images:
        assert np.array_equal(image[:, 0, 0], np.arange(57, 185))
        assert np.array_equal(image[0, :, 1], np.arange(25, 153))


def test_celeba_is_resized_after_the_crop(celeb_a):
    image = all_images(load("celeb_a", (64, 64, 3), data_dir=celeb_a))[0]
    # The mean of each two rows, within rounding; the border has no neighbour.
    inner = slice(1, -1)
    expected = np.arange(57.5, 185, 2)
    np.testing.assert_allclose(image[inner, 0, 0], expected[inner], atol=0.6)


def test_every_tfds_image_comes_once(celeb_a):
    images = all_images(load("celeb_a", (64, 64, 3), data_dir=celeb_a))
    assert sorted(images[:, 0, 0, 2].tolist()) == [0, 1, 2]


def test_a_missing_split_of_tfds_is_refused(celeb_a):
    assert refusal(
        lambda: load("celeb_a", (64, 64, 3), data_dir=celeb_a, split="test")
    ) == ("`split` must be one of train. Received: split=test.")


def test_wrong_channels_of_tfds_are_refused(celeb_a):
    assert refusal(lambda: load("celeb_a", (64, 64, 1), data_dir=celeb_a)) == (
        "`channels` must be the channels of celeb_a, 3. Received: channels=1."
    )


def test_a_dataset_without_images_is_refused(tmp_path):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    split = tfds.core.SplitInfo(
        name="train", shard_lengths=[1], num_bytes=0, filename_template=None
    )
    builder = mock.Mock()
    builder.info.features, builder.info.splits = features, {"train": split}
    with mock.patch("tensorflow_datasets.builder", return_value=builder):
        text = refusal(lambda: load("imdb_reviews", data_dir=str(tmp_path)))
    assert text == "`dataset` has no images. Received: imdb_reviews."


def test_an_unknown_dataset_is_refused(tmp_path):
    assert refusal(lambda: load("no_such_set", data_dir=str(tmp_path))) == (
        "`dataset` must be `digits`, an .npz file, a folder of images or a TFDS name. "
        "Received: dataset=no_such_set."
    )


def test_a_failed_download_is_one_line(tmp_path):
    failure = OSError("no route to host\nand much more")
    target = "tensorflow_datasets.core.DatasetBuilder.download_and_prepare"
    with mock.patch(target, side_effect=failure):
        text = refusal(lambda: load("cifar10", data_dir=str(tmp_path)))
    assert text == "TFDS could not prepare cifar10 (OSError: no route to host)."


# Streams.


def take(dataset, n):
    return [
        (int(position), element)
        for position, element in itertools.islice(dataset.as_numpy_iterator(), n)
    ]


@pytest.mark.parametrize("source", ["digits", "folder", "tfds"])
def test_a_shuffled_stream_resumes(source, tmp_path, celeb_a):
    if source == "digits":
        image_set = load("digits", (8, 8, 1))
    elif source == "folder":
        for i in range(4):
            write_png(tmp_path / f"{i}.png", np.full((8, 8, 3), i, np.uint8))
        image_set = load(tmp_path)
    else:
        image_set = load("celeb_a", (64, 64, 3), data_dir=celeb_a)
    whole = take(image_set.shuffled(seed=1, start=0), 14)
    assert take(image_set.shuffled(seed=1, start=5), 9) == whole[5:]


def test_every_epoch_of_a_stream_holds_every_image(npz):
    path, _ = npz
    stream = load(path).shuffled(seed=0, start=0)
    elements = [int(element) for _, element in take(stream, 10)]
    assert sorted(elements[:5]) == sorted(elements[5:]) == [0, 1, 2, 3, 4]


def test_elements_of_a_stream_decode_to_the_images(npz):
    path, train = npz
    image_set = load(path)
    ((_, element),) = take(image_set.shuffled(seed=0, start=3), 1)
    assert np.array_equal(image_set.decode(element), train[element])
