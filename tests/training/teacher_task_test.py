import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY
from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.runtime.errors import InputError
from tf_student.training import teacher_task

_SHAPE = (8, 8, 1)
_UNET = dataclasses.replace(TINY, channels=1)
_DIFFUSION = DiffusionConfig()


def _task(flip=False, image_set=None, seed=0, unet=_UNET):
    data = DataConfig("digits", flip=flip)
    return teacher_task.TeacherTask(
        image_set or datasets.load(data, _SHAPE),
        data,
        _DIFFUSION,
        SamplerConfig(calls=4),
        unet,
        seed,
    )


def _take(task, start, count):
    parts = zip(*task.examples(start).take(count).as_numpy_iterator(), strict=True)
    return [np.stack(part) for part in parts]


def test_example_is_image_noise_and_time():
    image, noise, t = next(iter(_task().examples(0)))
    assert (image.dtype, image.shape) == (tf.uint8, _SHAPE)
    assert (noise.dtype, noise.shape) == (tf.float32, _SHAPE)
    assert (t.dtype, t.shape) == (tf.int32, ())


# The second position lies in the second epoch of the 1,797 digits.
@pytest.mark.parametrize("start", [5, 1800])
def test_examples_begin_anywhere(start):
    later = _take(_task(flip=True), start, 3)
    skipped = [part[start:] for part in _take(_task(flip=True), 0, start + 3)]
    for a, b in zip(later, skipped, strict=True):
        np.testing.assert_array_equal(a, b)


def test_epoch_shows_every_image_once():
    shown = _take(_task(), 0, 1797)[0]
    real = datasets.digits()[0]
    assert sorted(i.tobytes() for i in shown) == sorted(i.tobytes() for i in real)


def test_epochs_have_their_own_order():
    shown = _take(_task(), 0, 2 * 1797)[0]
    assert not np.array_equal(shown[:1797], shown[1797:])


def test_times_cover_the_whole_process_evenly():
    times = _take(_task(), 0, 1797)[2]
    assert 0 <= times.min() < 10 and 990 < times.max() <= 999
    # The mean of 1,797 draws has a standard deviation of 6.8.
    assert abs(times.mean() - 499.5) < 30


def test_noise_is_standard_normal_and_new_for_each_example():
    noise = _take(_task(), 0, 500)[1]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert len({z.tobytes() for z in noise}) == 500


def test_another_seed_gives_other_examples():
    first, second = _take(_task(seed=0), 0, 20), _take(_task(seed=1), 0, 20)
    for a, b in zip(first, second, strict=True):
        assert not np.array_equal(a, b)


def test_half_of_the_images_are_mirrored():
    plain, mirrored = _take(_task(), 0, 400)[0], _take(_task(flip=True), 0, 400)[0]
    same = (plain == mirrored).all(axis=(1, 2, 3))
    flipped = (plain[:, :, ::-1] == mirrored).all(axis=(1, 2, 3))
    assert (same | flipped).all()
    assert 150 < flipped.sum() < 250


def test_loss_of_a_network_that_predicts_zero_is_the_noise_power():
    batch = (np.zeros([4, *_SHAPE], np.uint8), np.full([4, *_SHAPE], 2.0, "f4"))
    batch = (*batch, np.array([0, 1, 500, 999]))
    losses = _task().loss(
        lambda x, t, training, seed: tf.zeros_like(x), batch, tf.constant([0, 0])
    )
    np.testing.assert_allclose(losses.numpy(), [4.0] * 4, rtol=1e-6)


def test_network_sees_the_noised_image():
    seen = {}

    def network(x, t, training, seed):
        seen.update(x=x.numpy(), training=training)
        return tf.zeros_like(x)

    image = np.full([1, *_SHAPE], 255, np.uint8)
    batch = image, np.full([1, *_SHAPE], -1.0, "f4"), np.array([0])
    _task().loss(network, batch, tf.constant([0, 0]))
    # alpha_bar of the first step is 1 - 1e-4.
    expected = np.sqrt(1 - 1e-4) - np.sqrt(1e-4)
    np.testing.assert_allclose(seen["x"], np.full([1, *_SHAPE], expected), rtol=1e-5)
    assert seen["training"] is True


def test_unreadable_image_is_named(tmp_path):
    for name in ("good", "torn"):
        (tmp_path / f"{name}.png").write_bytes(
            tf.io.encode_png(np.zeros(_SHAPE, np.uint8)).numpy()
        )
    image_set = datasets.load(DataConfig(str(tmp_path)), _SHAPE)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(InputError, match=r"torn.png is not a readable image"):
        _task(image_set=image_set).diagnose()


def test_examples_of_a_network_with_classes_have_the_labels_of_their_images():
    unet = dataclasses.replace(_UNET, classes=10)
    images, _, _, labels = _take(_task(unet=unet), 0, 200)
    real, real_labels = datasets.digits()
    by_image = {
        image.tobytes(): int(n) for image, n in zip(real, real_labels, strict=True)
    }
    assert labels.tolist() == [by_image[image.tobytes()] for image in images]


def test_some_labels_are_replaced_by_the_null_class():
    unet = dataclasses.replace(_UNET, classes=10, label_dropout=0.2)
    labels = _take(_task(unet=unet), 0, 2000)[3]
    kept = _take(_task(unet=dataclasses.replace(_UNET, classes=10)), 0, 2000)[3]
    assert ((labels == kept) | (labels == 10)).all()
    # Five standard deviations of a share of 0.2 are 0.045.
    assert abs(np.mean(labels == 10) - 0.2) < 0.045
