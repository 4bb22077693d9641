"""The one-step generator (Luhman & Luhman, arXiv 2101.02388, sec. 3)."""

from typing import Any

import keras
import tensorflow as tf

from tf_student.unet import UNet


@keras.saving.register_keras_serializable("tf_student")
class Student(keras.Model):
    """G(z) = z - eps(z, T - 1).

    Call with float32 noise `[batch, size, size, channels]`; returns images of the same
    shape, float32, about [-1, 1].

    Args:
        unet: eps; the student owns it, and the teacher's weights are its start.
        timesteps: T of the teacher's diffusion.
    """

    def __init__(self, unet: UNet, timesteps: int = 1000, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.unet = unet
        self.timesteps = timesteps
        self.built = True

    def call(self, z, training=False, seed=None):
        t = tf.fill([tf.shape(z)[0]], self.timesteps - 1)
        return z - self.unet(z, t, training=training, seed=seed)

    def compute_output_shape(self, z_shape):
        return z_shape

    def get_config(self):
        return {
            **super().get_config(),
            "unet": keras.saving.serialize_keras_object(self.unet),
            "timesteps": self.timesteps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        unet = keras.saving.deserialize_keras_object(config.pop("unet"))
        return cls(unet, **config)
