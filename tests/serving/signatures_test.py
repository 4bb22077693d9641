import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conftest import LIMIT
from tf_student.data import images
from tf_student.diffusion import interpolation, noise

_PNG = b"\x89PNG\r\n"


def _sample(signatures, seed, count, name="sample"):
    served = signatures[name](
        seed=tf.constant(seed, tf.int64), count=tf.constant(count)
    )
    (output,) = served.values()
    return output.numpy()


def _interpolate(signatures, seed_a, seed_b, steps):
    return signatures["interpolate"](
        seed_a=tf.constant(seed_a, tf.int64),
        seed_b=tf.constant(seed_b, tf.int64),
        steps=tf.constant(steps),
    )["images"].numpy()


@pytest.mark.parametrize(
    ("name", "inputs", "output"),
    [
        (
            "serving_default",
            {"noise": ("float32", [None, 8, 8, 3])},
            {"images": ("uint8", [None, 8, 8, 3])},
        ),
        (
            "sample",
            {"seed": ("int64", []), "count": ("int32", [])},
            {"images": ("uint8", [None, 8, 8, 3])},
        ),
        (
            "interpolate",
            {"seed_a": ("int64", []), "seed_b": ("int64", []), "steps": ("int32", [])},
            {"images": ("uint8", [None, 8, 8, 3])},
        ),
        (
            "png",
            {"seed": ("int64", []), "count": ("int32", [])},
            {"png": ("string", [None])},
        ),
        (
            "png_json",
            {"seed": ("int64", []), "count": ("int32", [])},
            {"png_bytes": ("string", [None])},
        ),
    ],
)
def test_signatures_have_these_inputs_and_outputs(signatures, name, inputs, output):
    def described(specs):
        return {key: (spec.dtype.name, spec.shape) for key, spec in specs.items()}

    assert described(signatures[name].structured_input_signature[1]) == inputs
    assert described(signatures[name].structured_outputs) == output


def test_there_are_no_others(signatures):
    assert sorted(signatures) == [
        "interpolate",
        "png",
        "png_json",
        "sample",
        "serving_default",
    ]


@pytest.mark.parametrize("batch", [1, 2, LIMIT])
def test_batch_may_be_any(signatures, batch):
    z = tf.zeros([batch, 8, 8, 3])
    assert signatures["serving_default"](noise=z)["images"].shape == (batch, 8, 8, 3)
    assert _sample(signatures, 0, batch).shape == (batch, 8, 8, 3)


def test_served_images_are_the_students(signatures, model):
    z = tf.random.stateless_normal([5, 8, 8, 3], [1, 2])
    served = signatures["serving_default"](noise=z)["images"].numpy()
    assert served.std() > 10
    np.testing.assert_array_equal(served, images.to_uint8(model.student(z)).numpy())


def test_sample_draws_what_the_seed_says(signatures, model):
    z = noise.normal(7, noise.EVALUATION + tf.range(3, dtype=tf.int64), (8, 8, 3))
    np.testing.assert_array_equal(
        _sample(signatures, 7, 3), images.to_uint8(model.student(z)).numpy()
    )


def test_same_seed_gives_the_same_images_and_others_give_others(signatures):
    first, again, other = (_sample(signatures, seed, 4) for seed in (11, 11, 12))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_larger_count_begins_with_the_same_images(signatures):
    few, many = _sample(signatures, 3, 2), _sample(signatures, 3, 5)
    np.testing.assert_array_equal(few, many[:2])
    assert len({image.tobytes() for image in many}) == 5


def test_largest_seed_is_a_seed(signatures):
    assert _sample(signatures, 2**63 - 1, 1).std() > 0


@pytest.mark.parametrize("name", ["png", "png_json"])
def test_png_holds_the_samples(signatures, name):
    coded = _sample(signatures, 5, 3, name)
    assert all(picture.startswith(_PNG) for picture in coded)
    decoded = np.stack([tf.io.decode_png(picture).numpy() for picture in coded])
    np.testing.assert_array_equal(decoded, _sample(signatures, 5, 3))


def test_interpolation_is_spherical_and_has_both_ends(signatures, model):
    walk = _interpolate(signatures, 1, 2, 5)
    ends = [noise.draw(seed, noise.EVALUATION, (8, 8, 3)) for seed in (1, 2)]
    z = interpolation.slerp(*ends, tf.linspace(0.0, 1.0, 5))
    expected = images.to_uint8(model.student(z)).numpy().astype(int)
    assert np.abs(walk - expected).max() <= 1
    for image, seed in ((walk[0], 1), (walk[-1], 2)):
        end = _sample(signatures, seed, 1)[0].astype(int)
        assert np.abs(image - end).max() <= 1


def test_interpolation_between_equal_seeds_stays(signatures):
    walk = _interpolate(signatures, 4, 4, 3).astype(int)
    assert np.abs(walk - _sample(signatures, 4, 1)).max() <= 1


@pytest.mark.parametrize("count", [0, -1, LIMIT + 1, 10_000_000, -(2**31)])
def test_counts_out_of_bounds_are_refused(signatures, count):
    expected = f"`count` must be 1 to {LIMIT}. Received:.*{count}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=expected):
        _sample(signatures, 0, count)


@pytest.mark.parametrize("seed", [-1, -(2**63)])
def test_negative_seeds_are_refused(signatures, seed):
    with pytest.raises(tf.errors.InvalidArgumentError, match="`seed` must be 0 to 9"):
        _sample(signatures, seed, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`seed_b` must be 0"):
        _interpolate(signatures, 0, seed, 3)


@pytest.mark.parametrize("steps", [1, 0, -5, LIMIT + 1, 10_000_000])
def test_steps_out_of_bounds_are_refused(signatures, steps):
    expected = f"`steps` must be 2 to {LIMIT}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=expected):
        _interpolate(signatures, 0, 1, steps)


@pytest.mark.parametrize("rows", [0, LIMIT + 1])
def test_batches_of_noise_out_of_bounds_are_refused(signatures, rows):
    expected = f"`noise` must have 1 to {LIMIT} rows"
    with pytest.raises(tf.errors.InvalidArgumentError, match=expected):
        signatures["serving_default"](noise=tf.zeros([rows, 8, 8, 3]))
