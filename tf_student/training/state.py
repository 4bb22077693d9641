"""The state of a training run: everything that changes from step to step."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_student.training.optimizer import make_optimizer
from tf_student.training.training_config import TrainConfig


class TrainState:
    """A network, its EMA weights, the optimizer and the step, created under a strategy.

    Args:
        strategy: the strategy that the variables are created under.
        make_model: creates the network; it is called twice, also for the EMA weights.
        config: the optimizer's options.

    Attributes:
        model: the network that is trained.
        ema: a network of the same architecture that holds the EMA weights.
        optimizer: Adam with the config's schedule.
        step: int64, number of optimizer steps done.
        best: float32, the lowest held-out loss so far.
        skipped: int64, number of steps skipped because float16 gradients were not
            finite.
        replicas: int64, number of replicas when the state was last saved.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        make_model: Callable[[], keras.Model],
        config: TrainConfig,
    ):
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        with strategy.scope():
            self.model = make_model()
            self.ema = make_model()
            for ema_weight, weight in zip(
                self.ema.weights, self.model.weights, strict=True
            ):
                ema_weight.assign(weight)
            scaled = self.model.compute_dtype == "float16"
            self.optimizer = make_optimizer(config, scaled=scaled)
            self.optimizer.build(self.model.trainable_variables)
            self.step = tf.Variable(0, dtype=tf.int64, aggregation=first)
            self.best = tf.Variable(float("inf"), aggregation=first)
            self.skipped = tf.Variable(0, dtype=tf.int64, aggregation=first)
            self.replicas = tf.Variable(
                strategy.num_replicas_in_sync, dtype=tf.int64, aggregation=first
            )

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
        return {
            "model": [v.value for v in self.model.variables],
            "ema": [v.value for v in self.ema.variables],
            "optimizer": [v.value for v in self.optimizer.variables],
            "step": self.step,
            "best": self.best,
            "skipped": self.skipped,
            "replicas": self.replicas,
        }
