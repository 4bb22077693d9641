"""Adam for gradients that are already summed over the replicas."""

import keras
import tensorflow as tf

from tf_student.training.training_config import TrainConfig


class ReplicaSummedAdam(keras.optimizers.Adam):
    """Keras' Adam, without its sum over replicas and with TensorFlow's fused kernel.

    Clipping by the global norm needs the sum *before* the update, while Keras clips
    each replica's gradients and sums afterwards; and one kernel per variable is
    several times faster than the dozen small ones of Keras' formula, which is the same.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable; called by Keras on each of its devices."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, a constant rate, and a linear fall to zero at the end.

    Args:
        config: gives rate, warm-up, decay and the number of steps.
    """

    def __init__(self, config: TrainConfig):
        self.config = config

    def __call__(self, step):
        """The rate at a step, counted from 0."""
        c, step = self.config, tf.cast(step, tf.float32)
        up = (step + 1) / max(c.warmup_steps, 1)
        down = (c.steps - step) / max(c.decay_steps, 1) if c.decay_steps else 1.0
        return c.learning_rate * tf.clip_by_value(tf.minimum(up, down), 0.0, 1.0)

    def get_config(self):
        """What Keras would save; checkpoints hold the optimizer's variables alone."""
        return {"config": self.config}


class ReplicaSummedLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' dynamic loss scale, whose variables every replica may set.

    All replicas see the summed gradients and decide alike, so any one's value is right.
    """

    def add_variable(self, shape, initializer="zeros", dtype=None, name=None, **_):
        """As Keras does it, for a value that each replica sets on its own device."""
        variable = keras.Variable(
            initializer,
            shape=shape,
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
            synchronization="on_read",
            name=name,
        )
        self._track_variable(variable)
        return variable


def make_optimizer(
    config: TrainConfig, *, scaled: bool = False
) -> keras.optimizers.Optimizer:
    """Adam with the config's schedule.

    Args:
        config: the rate and Adam's constants.
        scaled: for float16, whose small gradients vanish: the loss is scaled, and steps
            whose gradients are not finite are left out (arXiv 1710.03740, sec. 3.2).
    """
    adam = ReplicaSummedAdam(
        WarmupThenDecay(config),
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.adam_epsilon,
    )
    return ReplicaSummedLossScale(adam) if scaled else adam
