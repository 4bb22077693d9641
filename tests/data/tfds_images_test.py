from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.image_sets import all_images, load, refusal, take
from tf_student.data import tfds_images


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


def test_a_missing_split_of_tfds_is_an_error(celeb_a):
    assert refusal(
        lambda: load("celeb_a", (64, 64, 3), data_dir=celeb_a, split="test")
    ) == (
        "`split` must be one of train, or made of them, as in train[:50%]. "
        "Received: split=test."
    )


@pytest.mark.parametrize(
    ("split", "numbers"),
    [("train[:34%]", [0]), ("train[1:]", [1, 2]), ("train[:1]+train[2:]", [0, 2])],
)
def test_parts_of_splits(celeb_a, split, numbers):
    image_set = load("celeb_a", (64, 64, 3), data_dir=celeb_a, split=split)
    assert image_set.count == len(numbers)
    assert sorted(all_images(image_set)[:, 0, 0, 2].tolist()) == numbers


@pytest.mark.parametrize("split", ["train[", "train+test", "train[:x]", ""])
def test_a_damaged_split_is_an_error(celeb_a, split):
    text = refusal(lambda: load("celeb_a", (64, 64, 3), data_dir=celeb_a, split=split))
    assert text.startswith("`split` must be one of train, or made of them")
    assert text.endswith(f"Received: split={split}.")


def test_a_split_without_images_is_an_error(celeb_a):
    assert refusal(
        lambda: load("celeb_a", (64, 64, 3), data_dir=celeb_a, split="train[:0]")
    ) == ("`split` must have images. Received: split=train[:0] of celeb_a.")


@pytest.mark.parametrize("below", ["celeb_a", "celeb_a/2.1.0"])
def test_a_prepared_dataset_is_read_by_its_path(celeb_a, below):
    expected = all_images(load("celeb_a", (64, 64, 3), data_dir=celeb_a))
    image_set = load(f"{celeb_a}/{below}", (64, 64, 3), split="train[1:]")
    np.testing.assert_array_equal(all_images(image_set), expected[1:])


def test_the_newest_version_is_read(tmp_path):
    for version in ("9.0.0", "10.0.0", "11.0.0", "notes"):
        (tmp_path / version).mkdir()
    for version in ("9.0.0", "10.0.0"):
        (tmp_path / version / "dataset_info.json").write_text("{}")
    newest = str(tmp_path / "10.0.0")
    assert tfds_images.prepared_folder(str(tmp_path)) == newest
    assert tfds_images.prepared_folder(newest) == newest
    assert tfds_images.prepared_folder(str(tmp_path / "11.0.0")) is None


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense"])
def test_a_damaged_prepared_dataset_is_one_line(tmp_path, content):
    (tmp_path / "1.0.0").mkdir()
    (tmp_path / "1.0.0" / "dataset_info.json").write_text(content)
    text = refusal(lambda: load(tmp_path))
    assert text.startswith(f"TFDS could not prepare {tmp_path} (")
    assert "\n" not in text


def test_wrong_channels_of_tfds_are_an_error(celeb_a):
    assert refusal(lambda: load("celeb_a", (64, 64, 1), data_dir=celeb_a)) == (
        "`channels` must be the channels of celeb_a, 3. Received: channels=1."
    )


def test_a_dataset_without_images_is_an_error(tmp_path):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    split = tfds.core.SplitInfo(
        name="train", shard_lengths=[1], num_bytes=0, filename_template=None
    )
    builder = mock.Mock()
    builder.info.features, builder.info.splits = features, {"train": split}
    with mock.patch("tensorflow_datasets.builder", return_value=builder):
        text = refusal(lambda: load("imdb_reviews", data_dir=str(tmp_path)))
    assert text == (
        "`dataset` must have images, as the uint8 feature `image`. Received: "
        "dataset=imdb_reviews."
    )


def test_an_unknown_dataset_is_an_error(tmp_path):
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


def test_a_shuffled_stream_of_tfds_resumes(celeb_a):
    image_set = load("celeb_a", (64, 64, 3), data_dir=celeb_a)
    whole = take(image_set.shuffled(seed=1, start=0), 14)
    assert take(image_set.shuffled(seed=1, start=5), 9) == whole[5:]


def test_labels_stay_with_their_images(tmp_path):
    """Also in the shuffled stream, whose elements have two parts."""
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)

    def examples(self, *arguments):
        for number, image in enumerate(images):
            yield number, {"image": image, "label": number % 10}

    builder = tfds.testing.DummyMnist(data_dir=str(tmp_path))
    with mock.patch.object(type(builder), "_generate_examples", examples):
        builder.download_and_prepare()
    image_set = load("dummy_mnist", (28, 28, 1), data_dir=str(tmp_path))
    assert image_set.classes == 10
    labels = {image.tobytes(): number % 10 for number, image in enumerate(images)}
    for _, element in image_set.shuffled(seed=1, start=0).take(40):
        image = image_set.decode(element).numpy()
        assert labels[image.tobytes()] == int(image_set.label(element))
