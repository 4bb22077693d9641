import numpy as np

from tests.image_sets import all_images, load, refusal, write_png

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
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    image_set = load(tmp_path)
    text = refusal(image_set.diagnose)
    assert text.startswith(f"{tmp_path / 'b.png'} is not a readable image: ")
    assert "\n" not in text


def test_readable_images_pass_the_diagnosis(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    load(tmp_path).diagnose()


def test_a_folder_without_images_is_an_error(tmp_path):
    assert refusal(lambda: load(tmp_path)) == (
        "`dataset` must be a folder with .png, .jpg, .jpeg, .bmp files. "
        f"Received: dataset={tmp_path}."
    )


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
    text = refusal(load(tmp_path).diagnose)
    assert text.startswith(f"{tmp_path / 'b.png'} is not a readable image: ")


def test_a_folder_of_any_name_is_read(tmp_path):
    write_png(tmp_path / "[1]*" / "a[1].png", np.full((8, 8, 3), 7, np.uint8))
    write_png(tmp_path / "1" / "a1.png", np.zeros((8, 8, 3), np.uint8))
    assert np.array_equal(all_images(load(tmp_path / "[1]*"))[0], np.full((8, 8, 3), 7))
