"""Adam for gradients that are already summed over the replicas."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_student.training.training_config import TrainConfig


class ReplicaSummedAdam(keras.optimizers.Optimizer):
    """Adam (arXiv 1412.6980) with TensorFlow's fused kernel.

    It computes the formula of `keras.optimizers.Adam` and has the same variables, but
    `apply` expects gradients that are already summed over the replicas. Clipping by the
    global norm needs that sum, whereas Keras clips the gradients of each replica and
    sums them afterwards. One kernel per variable is also several times faster than the
    dozen small operations of Keras' formula.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of the first moments.
        beta_2: decay of the second moments.
        epsilon: added to the square root of the second moments.
        name: the optimizer's name.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        *,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name=name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the moments, in the order in which Keras' Adam creates them."""
        super().build(variables)
        self.first_moments, self.second_moments = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable],
    ) -> None:
        """Updates the variables that the optimizer was built with.

        Call it in replica context, as `keras.optimizers.Optimizer.apply`.

        Args:
            grads: the same on every replica, in the order of the variables.
            trainable_variables: the variables of `build`.
        """
        step = tf.cast(self.iterations + 1, tf.float32)
        scalars = (
            tf.pow(self.beta_1, step),
            tf.pow(self.beta_2, step),
            tf.cast(self.learning_rate, tf.float32),
        )
        variables = [v.value for v in trainable_variables]
        tf.distribute.get_replica_context().merge_call(
            self._update_all, args=(variables, list(grads), scalars)
        )
        self.iterations.assign_add(1)

    def _update_all(self, strategy, variables, grads, scalars):
        """Updates the copies of each variable, in cross-replica context."""
        moments = [
            [moment.value for moment in moments]
            for moments in (self.first_moments, self.second_moments)
        ]
        # One call for all variables: each call costs milliseconds of tracing.
        args = (variables, *moments, grads, scalars)
        strategy.extended.update(variables[0], self._update, args=args, group=False)

    def _update(self, _, variables, first_moments, second_moments, grads, scalars):
        """Updates the copies of one device."""
        constants = map(tf.constant, (self.beta_1, self.beta_2, self.epsilon))
        names = ("beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon")
        options = dict(zip(names, (*scalars, *constants), strict=True))
        updates = [
            tf.raw_ops.ResourceApplyAdam(
                var=v.handle, m=m.handle, v=s.handle, grad=g, **options
            )
            for v, m, s, g in zip(
                variables, first_moments, second_moments, grads, strict=True
            )
        ]
        return tf.group(updates)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras expects them."""
        config = super().get_config()
        return {
            "name": config["name"],
            "learning_rate": config["learning_rate"],
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, a constant rate, and a linear decay to zero at the end.

    Args:
        config: the rate, the warm-up, the decay and the number of steps.
    """

    def __init__(self, config: TrainConfig):
        self.config = config

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the rate of a step, counted from 0."""
        c, step = self.config, tf.cast(step, tf.float32)
        up = (step + 1) / max(c.warmup_steps, 1)
        down = (c.steps - step) / max(c.decay_steps, 1) if c.decay_steps else 1.0
        return c.learning_rate * tf.clip_by_value(tf.minimum(up, down), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments. A checkpoint does not need them: it holds only variables."""
        return {"config": self.config}


class ReplicaSummedLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' dynamic loss scale, whose variables each replica assigns for itself.

    All replicas see the same summed gradients and decide alike. Keras assigns the
    variables within a condition in replica context, where TensorFlow cannot synchronize
    replicas.
    """

    def add_variable(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """Creates a variable that is not synchronized when it is assigned."""

        def create(next_creator, **options):
            options["synchronization"] = tf.VariableSynchronization.ON_READ
            options["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
            return next_creator(**options)

        with tf.variable_creator_scope(create):
            return super().add_variable(*args, **kwargs)


def make_optimizer(
    config: TrainConfig, *, scaled: bool = False
) -> keras.optimizers.Optimizer:
    """Creates Adam with the schedule of a config.

    Args:
        config: the rate and Adam's constants.
        scaled: whether to scale the loss dynamically. Small gradients underflow in
            float16; steps whose scaled gradients are not finite are skipped
            (arXiv 1710.03740, sec. 3.2).
    """
    adam = ReplicaSummedAdam(
        WarmupThenDecay(config),
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.adam_epsilon,
        # TensorFlow compiles a kernel for each new name of a variable.
        name="adam",
    )
    return ReplicaSummedLossScale(adam) if scaled else adam
