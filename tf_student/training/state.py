"""The state of a training run: everything that changes from step to step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_student.training.optimizer import make_optimizer
from tf_student.training.training_config import TrainConfig


class Learner(NamedTuple):
    """A network that is trained, and its optimizer."""

    network: keras.Model
    optimizer: keras.optimizers.Optimizer


class TrainState:
    """A network, its EMA weights, the optimizer and the step, created under a strategy.

    Args:
        strategy: the strategy that the variables are created under.
        make_model: creates the network; it is called twice, also for the EMA weights.
        config: the optimizer's options.
        helpers: further networks that are trained beside it, by name: functions that
            create them, and the options of their optimizers.

    Attributes:
        model: the network that is trained.
        ema: a network of the same architecture that holds the EMA weights.
        optimizer: Adam with the config's schedule.
        helpers: the further networks and their optimizers, by name.
        step: int64, number of optimizer steps done.
        best: float32, the lowest held-out loss or other score so far.
        skipped: int64, number of steps skipped because float16 gradients were not
            finite.
        replicas: int64, number of replicas when the state was last saved.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        make_model: Callable[[], keras.Model],
        config: TrainConfig,
        helpers: Mapping[str, tuple[Callable[[], keras.Model], TrainConfig]] = {},
    ):
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        with strategy.scope():
            self.model = make_model()
            self.ema = make_model()
            for ema_weight, weight in zip(
                self.ema.weights, self.model.weights, strict=True
            ):
                ema_weight.assign(weight)
            self.optimizer = _optimizer(self.model, config)
            self.helpers = {
                name: _learner(make(), options)
                for name, (make, options) in helpers.items()
            }
            self.step = tf.Variable(0, dtype=tf.int64, aggregation=first)
            self.best = tf.Variable(float("inf"), aggregation=first)
            self.skipped = tf.Variable(0, dtype=tf.int64, aggregation=first)
            self.replicas = tf.Variable(
                strategy.num_replicas_in_sync, dtype=tf.int64, aggregation=first
            )

    @property
    def learner(self) -> Learner:
        """The network and its optimizer."""
        return Learner(self.model, self.optimizer)

    @property
    def loss_scale(self) -> float | None:
        """The factor that the loss is multiplied with; None without loss scaling."""
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return None if scale is None else float(scale.value.read_value())

    def trackables(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold, by name.

        Variables are listed because TensorFlow does not follow the lists of layers
        within a Keras model. Their order is that of the architecture.
        """
        owners: dict[str, Any] = {
            "model": self.model,
            "ema": self.ema,
            "optimizer": self.optimizer,
        }
        for name, (network, optimizer) in self.helpers.items():
            owners |= {name: network, f"{name}_optimizer": optimizer}
        return {
            **{k: [v.value for v in owner.variables] for k, owner in owners.items()},
            "step": self.step,
            "best": self.best,
            "skipped": self.skipped,
            "replicas": self.replicas,
        }


def _learner(network: keras.Model, config: TrainConfig) -> Learner:
    return Learner(network, _optimizer(network, config))


def _optimizer(network: keras.Model, config: TrainConfig) -> keras.optimizers.Optimizer:
    optimizer = make_optimizer(config, scaled=network.compute_dtype == "float16")
    optimizer.build(network.trainable_variables)
    return optimizer
