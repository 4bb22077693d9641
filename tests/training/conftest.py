"""A toy task whose every step is easily followed by hand."""

import dataclasses

import keras
import pytest
import tensorflow as tf

from tf_student.data import streams
from tf_student.runtime import devices
from tf_student.training import phases
from tf_student.training import state as train_state
from tf_student.training.training_config import TrainConfig


@dataclasses.dataclass
class ToyTask:
    """Fits w to y = 2x; the x of position i is i % 5."""

    fault_at: int = -1
    label: str = "toy"
    starts: list = dataclasses.field(default_factory=list)
    evaluated: list = dataclasses.field(default_factory=list)
    diagnosed: int = 0

    def examples(self, start, part=streams.WHOLE):
        self.starts.append(start)
        positions = part.of(tf.data.Dataset.range(start, 10**6))
        return positions.map(lambda i: (i, tf.cast(i % 5, tf.float32)[None]))

    def examples_from_0(self, part):
        return self.examples(0, part)

    def phases(self, state, config):
        return phases.single(state, self.loss, config.clip_norm)

    def loss(self, model, batch, seed):
        position, x = batch
        error = model(x)[:, 0] - 2.0 * x[:, 0]
        fault = tf.where(position == self.fault_at, float("nan"), 0.0)
        return tf.square(error) + fault

    def evaluate(self, state, reporter):
        self.evaluated.append(int(state.step.numpy()))

    def diagnose(self):
        self.diagnosed += 1


@pytest.fixture
def toy_task():
    return ToyTask


def _dense():
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[0.5]])
    return model


@pytest.fixture
def make_toy_state():
    """Makes the state of a one-weight model that starts at 0.5."""

    def make(strategy, train, make_model=_dense, helpers=None):
        return train_state.TrainState(strategy, make_model, train, helpers or {})

    return make


@pytest.fixture
def one_replica():
    return devices.make_strategy(["CPU:0"])


@pytest.fixture
def toy_train():
    """The config of a short run over batches of four."""

    def make(**changes):
        values = {"batch_size": 4, "steps": 10, "learning_rate": 0.01}
        return TrainConfig(**{**values, "ema_decay": 0.5, **changes})

    return make
