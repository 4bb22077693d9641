import numpy as np
import pytest
import tensorflow as tf

from tests.image_sets import all_images, load, refusal, take
from tf_student.data import datasets

RNG = np.random.default_rng(0)


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


def test_no_stream_waits_for_a_tuner():
    image_set = load("digits", (8, 8, 1))
    for stream in (image_set.images(), image_set.shuffled(seed=0, start=0)):
        assert stream.options().autotune.enabled is False


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


# Streams.


@pytest.mark.parametrize("source", ["digits", "folder"])
def test_a_shuffled_stream_resumes(source, tmp_path):
    if source == "digits":
        image_set = load("digits", (8, 8, 1))
    else:
        for i in range(4):
            write_png(tmp_path / f"{i}.png", np.full((8, 8, 3), i, np.uint8))
        image_set = load(tmp_path)
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
