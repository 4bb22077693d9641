"""What a training run carries from step to step."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_student.training.optimizer import make_optimizer
from tf_student.training.training_config import TrainConfig


class TrainState:
    """A network, its averaged twin, the optimizer and the step, made under a strategy.

    Attributes:
        model: what is trained.
        ema: a network of the same kind that holds the averaged weights.
        optimizer: Adam with the config's schedule.
        step: int64, optimizer steps done.
        best: float32, the lowest held-out loss so far.
        skipped: int64, steps left out because float16 did not hold their gradients.
        replicas: int64, how many took part when it was last saved.
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
            for average, weight in zip(
                self.ema.weights, self.model.weights, strict=True
            ):
                average.assign(weight)
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
        """By what the loss is multiplied; None where that is not needed."""
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return None if scale is None else float(scale.value.read_value())

    def trackables(self) -> dict[str, Any]:
        """Everything a checkpoint must hold, by name.

        Variables are listed, for TensorFlow does not follow the lists of layers within
        a Keras model. Their order is that of the architecture.
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
