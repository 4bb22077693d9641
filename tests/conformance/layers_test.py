"""Promises of every layer and network, tested over one list of cases."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tests.tolerances import assert_close
from tf_student.models import blocks, layers, resampling
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime.devices import make_strategy, policy

IMAGE, FEATURES, TEMB, STEP = (8, 8, 3), (4, 4, 8), (16,), ()


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer and the shapes, without the batch, of what it is called on."""

    name: str
    make: Callable[..., keras.layers.Layer]
    inputs: tuple[tuple[int, ...], ...]

    @property
    def is_network(self) -> bool:
        return self.name in ("unet", "student")

    def build(self, dtype: str = "float32") -> keras.layers.Layer:
        layer = self.make(dtype=policy(dtype))
        # The call builds it, as in a user's program.
        layer(*self.batch(1))
        return randomise(layer)

    def batch(self, n: int) -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        return [
            rng.integers(0, 1000, n).astype(np.int32)
            if shape is STEP
            else rng.normal(size=(n, *shape)).astype(np.float32)
            for shape in self.inputs
        ]

    def specs(self) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([None, *shape], tf.int32 if shape is STEP else tf.float32)
            for shape in self.inputs
        ]


def make_student(dtype):
    return Student(UNet(TINY, dtype=dtype), dtype=dtype)


CASES = [
    Case("time", lambda **k: layers.TimestepEmbedding(8, **k), (STEP,)),
    Case("norm", lambda **k: layers.GroupNormSiLU(4, **k), (FEATURES,)),
    Case("norm_bias", lambda **k: layers.GroupNormSiLU(4, **k), (FEATURES, (8,))),
    Case("conv", lambda **k: layers.Conv2D(4, 3, **k), (FEATURES,)),
    Case("block", lambda **k: blocks.ResBlock(8, 4, **k), (FEATURES, TEMB)),
    Case("wider_block", lambda **k: blocks.ResBlock(12, 4, **k), (FEATURES, TEMB)),
    Case("attention", lambda **k: blocks.SelfAttention(4, **k), (FEATURES,)),
    Case("down", resampling.Downsample, (FEATURES,)),
    Case("up", resampling.Upsample, (FEATURES,)),
    Case("unet", lambda **k: UNet(TINY, **k), (IMAGE, STEP)),
    Case("student", make_student, (IMAGE,)),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def test_xla_equals_eager(case):
    layer, batch = case.build(), case.batch(3)
    assert_close(tf.function(layer, jit_compile=True)(*batch), layer(*batch))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision(case, dtype):
    exact, layer = case.build(), case.build(dtype)
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    batch = case.batch(3)
    output = layer(*batch)
    # Networks return float32 for the arithmetic around them.
    assert output.dtype == ("float32" if case.is_network else dtype)
    assert np.all(np.isfinite(np.asarray(output, np.float32)))
    assert_close(output, exact(*batch), dtype)
    # The difference shows that the small type was used.
    difference = np.asarray(output, np.float32) - exact(*batch).numpy()
    assert np.max(np.abs(difference)) > 1e-5


def gradients(layer, batch):
    """An output and the gradients of the sum of its squares."""
    with tf.GradientTape() as tape:
        output = layer(*batch)
        loss = tf.reduce_sum(tf.square(output))
    return output, tape.gradient(loss, layer.trainable_variables)


@pytest.mark.parametrize("xla", [False, True], ids=["", "xla"])
def test_two_replicas_share_a_batch(case, xla):
    batch = case.batch(4)
    expected, expected_gradients = gradients(case.build(), batch)
    strategy = make_strategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = case.build()
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: [
            tf.constant(part[2 * context.replica_id_in_sync_group :][:2])
            for part in batch
        ]
    )

    # XLA compiles the work of one replica: it cannot reach variables of other devices.
    compiled = tf.function(lambda part: gradients(layer, part), jit_compile=xla)

    def replica(part):
        output, grads = compiled(part)
        context = tf.distribute.get_replica_context()
        return output, context.all_reduce("SUM", grads)

    run = tf.function(lambda part: strategy.run(replica, args=(part,)))
    outputs, summed = run(halves)
    both = strategy.experimental_local_results(outputs)
    assert_close(tf.concat(both, axis=0), expected)
    assert len(summed) == len(expected_gradients) == len(layer.trainable_variables)
    for actual, gradient in zip(summed, expected_gradients, strict=True):
        for local in strategy.experimental_local_results(actual):
            assert_close(local, gradient)


def test_a_saved_model_gives_the_same(case, tmp_path):
    layer, batch = case.build(), case.batch(3)
    module = tf.Module()
    module.layer = layer
    module.call = tf.function(lambda *x: layer(*x), input_signature=case.specs())
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert_close(loaded.call(*batch), layer(*batch))


def test_get_config_describes_an_equal_layer(case):
    layer, batch = case.build("bfloat16"), case.batch(3)
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer)
    assert copy.dtype_policy.name == "mixed_bfloat16"
    copy(*batch)
    copy.set_weights(layer.get_weights())
    assert np.array_equal(copy(*batch), layer(*batch))
    assert keras.saving.serialize_keras_object(copy)["config"] == config["config"]


def test_a_keras_file_holds_the_layer(case, tmp_path):
    layer, batch = case.build(), case.batch(3)
    model = layer
    if not case.is_network:
        inputs = [
            keras.Input(shape, dtype="int32" if shape is STEP else "float32")
            for shape in case.inputs
        ]
        model = keras.Model(inputs, layer(*inputs))
        assert model.output_shape[1:] == layer(*batch).shape[1:]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    actual = loaded(*batch) if case.is_network else loaded(batch)
    assert np.array_equal(actual, layer(*batch))


def test_the_list_has_every_layer():
    tested = {type(case.make(dtype="float32")) for case in CASES}
    written = {
        value
        for module in (layers, blocks, resampling)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, keras.layers.Layer)
    }
    assert written | {UNet, Student} == tested
