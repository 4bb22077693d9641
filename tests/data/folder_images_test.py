import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.image_files import encode, picture, write
from tests.image_sets import all_images, load, refusal, write_png
from tf_student.data import folder_images

RNG = np.random.default_rng(0)


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    images = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    write_png(tmp_path / "b.png", images[1])
    write_png(tmp_path / "c" / "a.PNG", images[2])
    write_png(tmp_path / "a.png", images[0])
    (tmp_path / "notes.txt").write_text("no image")
    assert np.array_equal(all_images(load(tmp_path)), images)


def test_the_shorter_side_is_resized_and_the_centre_cropped(tmp_path):
    # 16 by 32 pixels are resized to 8 by 16, of which columns 4 to 11 remain.
    columns = np.repeat(np.arange(16) * 10, 2)
    image = np.broadcast_to(columns[None, :, None], (16, 32, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", image)
    fitted = all_images(load(tmp_path))[0]
    assert fitted.shape == (8, 8, 3)
    # Antialiasing mixes neighbours, but a ramp stays a ramp.
    np.testing.assert_allclose(fitted[3, :, 0], np.arange(4, 12) * 10, atol=1)


def test_resizing_is_antialiased(tmp_path):
    # Stripes in the two middle columns of each four, which plain bilinear sampling
    # would always hit; antialiasing leaves about their mean.
    stripes = np.tile(np.array([0, 255, 255, 0], np.uint8), 8)
    image = np.broadcast_to(stripes[None, :, None], (32, 32, 3))
    write_png(tmp_path / "a.png", image)
    fitted = all_images(load(tmp_path))[0]
    assert np.all(np.abs(fitted.astype(int) - 127.5) < 40)


def test_a_smaller_image_is_enlarged(tmp_path):
    write_png(tmp_path / "a.png", np.full((4, 6, 3), 77, np.uint8))
    assert np.array_equal(all_images(load(tmp_path))[0], np.full((8, 8, 3), 77))


def test_a_grey_image_gets_the_requested_channels(tmp_path):
    write_png(tmp_path / "a.png", np.full((8, 8, 1), 9, np.uint8))
    assert np.array_equal(all_images(load(tmp_path))[0], np.full((8, 8, 3), 9))


def test_an_unreadable_image_is_named(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    write(tmp_path / "b.png", b"\x89PNG\r\n\x1a\n cut off")
    text = refusal(lambda: load(tmp_path))
    assert text.startswith(f"{tmp_path / 'b.png'} is not a readable image: ")
    assert "\n" not in text


@pytest.mark.parametrize("shape", [None, (8, 8, 3)])
def test_a_cut_image_is_named_before_it_is_needed(tmp_path, shape):
    for name in "abc":
        write(tmp_path / f"{name}.jpg", encode(picture(64, 64), "JPEG"))
    write(tmp_path / "b.jpg", encode(picture(64, 64), "JPEG")[:-40])
    assert refusal(lambda: load(tmp_path, shape)).startswith(
        f"{tmp_path / 'b.jpg'} is not a readable image: image file is truncated"
    )


@pytest.mark.parametrize("limit", ["_DECODED_FILES", "_DECODED_PIXELS"])
def test_a_cut_image_of_a_large_set_is_named_when_it_is_read(
    tmp_path, monkeypatch, limit
):
    monkeypatch.setattr(folder_images, limit, 1)
    for name in "abc":
        write(tmp_path / f"{name}.bmp", encode(picture(), "BMP"))
    write(tmp_path / "b.bmp", encode(picture(), "BMP")[:-40])
    image_set = load(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError):
        all_images(image_set)
    assert refusal(image_set.diagnose).startswith(
        f"{tmp_path / 'b.bmp'} is not a readable image: image file is truncated"
    )


def test_some_headers_of_a_very_large_set_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_images, "_HEADERS", 2)
    for name in "abcd":
        write(tmp_path / f"{name}.png", encode(picture(), "PNG"))
    write(tmp_path / "b.png", b"not looked at")
    assert load(tmp_path).count == 4
    write(tmp_path / "c.png", b"looked at")
    assert refusal(lambda: load(tmp_path)) == (
        f"{tmp_path / 'c.png'} is not a readable image: its content is of no known "
        "format."
    )


def test_an_image_of_another_size_is_named(tmp_path):
    write(tmp_path / "a.png", encode(picture(8, 8), "PNG"))
    write(tmp_path / "b.png", encode(picture(8, 10), "PNG"))
    assert refusal(lambda: load(tmp_path, None)) == (
        f"{tmp_path / 'b.png'} must have the height and width of {tmp_path / 'a.png'}. "
        "Expected: 8x8, received: 8x10."
    )


def test_a_size_that_changes_meanwhile_is_named(tmp_path):
    write(tmp_path / "a.png", encode(picture(8, 8), "PNG"))
    write(tmp_path / "b.png", encode(picture(8, 8), "PNG"))
    image_set = load(tmp_path, None)
    write(tmp_path / "b.png", encode(picture(8, 10), "PNG"))
    assert "b.png must have the height and width" in refusal(image_set.diagnose)


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert refusal(lambda: load(tmp_path)) == (
        f"{tmp_path / 'a.png'} is not a readable image: it is no regular file."
    )
    os.remove(tmp_path / "a.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "a.png")
    assert "No such file" in refusal(lambda: load(tmp_path))


@pytest.mark.parametrize("grey_first", [True, False])
@pytest.mark.parametrize("shape", [None, (8, 8, 3)])
def test_grey_among_colour_is_converted_and_said(tmp_path, caplog, grey_first, shape):
    grey = np.asarray(Image.fromarray(picture()).convert("L"))
    names = ["a.png", "b.png"] if grey_first else ["b.png", "a.png"]
    write(tmp_path / names[0], encode(grey, "PNG"))
    write(tmp_path / names[1], encode(picture(), "PNG"))
    images = [np.stack([grey] * 3, -1), picture()]
    expected = images if grey_first else images[::-1]
    np.testing.assert_array_equal(all_images(load(tmp_path, shape)), expected)
    assert caplog.messages == [
        f"{tmp_path}: 1 of 2 images have other channels, such as "
        f"{tmp_path / names[0]}. Expected: 3, received: 1. Grey is repeated."
    ]


def test_colour_for_a_network_of_one_channel_is_said(tmp_path, caplog):
    write(tmp_path / "a.png", encode(picture(), "PNG"))
    luma = np.asarray(Image.fromarray(picture()).convert("L"))
    image_set = load(tmp_path, (8, 8, 1))
    np.testing.assert_array_equal(all_images(image_set)[0, ..., 0], luma)
    assert "Expected: 1, received: 3. Colour becomes grey." in caplog.messages[0]


def test_all_grey_images_keep_one_channel(tmp_path, caplog):
    write(tmp_path / "a.png", encode(picture()[..., 0], "PNG"))
    write(tmp_path / "b.jpg", encode(picture()[..., 0], "JPEG"))
    assert load(tmp_path, None).shape == (8, 8, 1)
    assert not caplog.messages


def test_other_channels_than_those_of_image_files_are_an_error(tmp_path):
    assert refusal(lambda: load(tmp_path, (8, 8, 2))) == (
        "`channels` must be 1, 3 or 4 for a folder of images. Received: channels=2."
    )


def test_formats_are_told_by_content(tmp_path):
    write(tmp_path / "a.jpg", encode(picture(offset=1), "PNG"))
    write(tmp_path / "b.png", encode(picture(offset=2), "WEBP", lossless=True))
    write(tmp_path / "c.TIF", encode(picture(offset=3), "TIFF"))
    write(tmp_path / "d.gif", encode(picture(offset=4), "BMP"))
    expected = [picture(offset=number) for number in (1, 2, 3, 4)]
    np.testing.assert_array_equal(all_images(load(tmp_path)), expected)


def test_readable_images_pass_the_diagnosis(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    load(tmp_path).diagnose()


def test_a_folder_without_images_is_an_error(tmp_path):
    text = (
        "`dataset` must be a folder with images (.png, .jpg, .webp, .tif, ...). "
        f"Received: dataset={tmp_path}, with "
    )
    assert refusal(lambda: load(tmp_path)) == f"{text}no files."
    (tmp_path / "notes.txt").write_text("no image")
    assert refusal(lambda: load(tmp_path)) == f"{text}1 file (1 .txt)."


def test_what_is_left_out_is_counted(tmp_path, caplog):
    write(tmp_path / "a.png", encode(picture(), "PNG"))
    for name in ("b.heic", "c.heic", "more/notes.txt", "more/LICENSE", ".hidden"):
        write(tmp_path / name, b"no image")
    assert load(tmp_path).count == 1
    assert caplog.messages == [
        f"{tmp_path}: left out 4 files (2 .heic, 1 no suffix, 1 .txt) that are no "
        "images."
    ]


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path):
    for folder, count in {"zebra": 1, "ant": 2, "cat": 1}.items():
        for number in range(count):
            write_png(
                tmp_path / folder / f"{number}.png", np.zeros((8, 8, 3), np.uint8)
            )
    image_set = load(tmp_path)
    assert image_set.classes == 3
    assert list(image_set.labels().as_numpy_iterator()) == [0, 0, 1, 2]


def test_an_image_outside_the_subfolders_leaves_no_classes(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    write_png(tmp_path / "b" / "a.png", np.zeros((8, 8, 3), np.uint8))
    image_set = load(tmp_path)
    assert image_set.classes == 0
    assert "must have labels" in refusal(image_set.labels)


def test_what_systems_and_editors_leave_is_no_image(tmp_path):
    write_png(tmp_path / "a.png", np.full((8, 8, 3), 7, np.uint8))
    other = np.zeros((8, 8, 3), np.uint8)
    (tmp_path / ".Trash-1000").mkdir()
    (tmp_path / "deep").mkdir()
    write_png(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png", other)
    write_png(tmp_path / ".Trash-1000" / "files" / "b.png", other)
    write_png(tmp_path / "deep" / "__MACOSX" / "c.png", other)
    (tmp_path / "._a.png").write_bytes(b"\x00\x05\x16\x07 Mac OS X")
    image_set = load(tmp_path)
    assert image_set.count == 1
    image_set.diagnose()
    assert np.array_equal(all_images(image_set), [np.full((8, 8, 3), 7)])


def test_an_empty_file_is_named(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"")
    assert refusal(lambda: load(tmp_path)) == (
        f"{tmp_path / 'b.png'} is not a readable image: it is empty."
    )


def test_a_folder_of_any_name_is_read(tmp_path):
    write_png(tmp_path / "[1]*" / "a[1].png", np.full((8, 8, 3), 7, np.uint8))
    write_png(tmp_path / "1" / "a1.png", np.zeros((8, 8, 3), np.uint8))
    assert np.array_equal(all_images(load(tmp_path / "[1]*"))[0], np.full((8, 8, 3), 7))
