"""The one-step generator (Luhman & Luhman, arXiv 2101.02388, sec. 3)."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion import noise, predictions, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.diffusion.inputs import split
from tf_student.models import weights_file
from tf_student.models.generator import Generator
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.options import from_dict, option, to_dict
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory

if TYPE_CHECKING:
    from tf_student.models.teacher import Teacher


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a student was made from; empty where it is unknown or does not apply."""

    teacher: str = option("", "Fingerprint of the teacher.", free=True)
    pairs: str = option("", "Fingerprint of the pairs.", free=True)
    student: str = option("", "Fingerprint of the student before matching.")
    objective: str = option("", "Objective of distribution matching.")


@keras.saving.register_keras_serializable("tf_student")
class Student(keras.Model):
    """The one-step generator G(z) = z - eps(z, T - 1).

    That is for a network that predicts noise. For one that predicts v or the image, G
    is its estimate of the image at the last time step: with a at T - 1,
    G(z) = sqrt(a) z - sqrt(1 - a) v(z, T - 1), or G(z) = x_0(z, T - 1).

    It is a Keras model. Call with float32 noise `[batch, size, size, channels]`, or,
    for a network with classes, with the pair of noise and int32 labels `[batch]`;
    returns float32 images of the shape of the noise, about [-1, 1].

    Args:
        unet: eps, whose weights are the student's weights; a copy of the teacher's
            network is the usual start.
        diffusion: the teacher's forward process, which defines T.
        origin: the teacher and the pairs that the student was trained on.
        **kwargs: of `keras.Model`: `name`, `dtype`, `trainable`.

    Example:

    >>> unet = UNet(image_size=8, channels=1, base_width=32, groups=8,
    ...             width_multipliers=(1, 2), attention_resolutions=(4,))
    >>> student = Student(unet)
    >>> student.generate(4, seed=7).shape
    (4, 8, 8, 1)
    """

    def __init__(
        self,
        unet: UNet,
        diffusion: DiffusionConfig = DiffusionConfig(),
        *,
        origin: Origin = Origin(),
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        self.unet, self.diffusion, self.origin = unet, diffusion, origin
        self.built = True

    @classmethod
    def from_teacher(cls, teacher: "Teacher") -> "Student":
        """A student that starts from a copy of the teacher's weights.

        Example:

        >>> student = Student.from_teacher(teacher)
        >>> student.compile("adam", "mae")
        """
        return cls(teacher.unet.copy(), teacher.diffusion)

    @classmethod
    def load(cls, directory: str, *, dtype: str = "float32") -> "Student":
        """Loads the student of a run.

        Args:
            directory: the directory that `distill`, `convert_weights` or `save` wrote.
            dtype: the compute type: `float32`, `bfloat16` or `float16`. The weights
                are float32.

        Raises:
            InputError: if the student is missing, unfinished or damaged, or if the
                directory has a teacher.

        Example:

        >>> student = Student.load("runs/digits/student")
        """
        run = weights_file.open_run(directory, "student")
        weights_file.check_exists(directory)
        policy = devices.policy(dtype)
        unet = UNet(run.config("unet", UNetConfig), dtype=policy)
        diffusion = run.config("diffusion", DiffusionConfig)
        # Converted weights have no origin.
        origin = run.config("origin", Origin) if "origin" in run.values else Origin()
        student = cls(unet, diffusion, origin=origin, dtype=policy)
        weights_file.load(directory, student)
        return student

    def save(self, filepath: str, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the student as a file of Keras or as a run directory.

        Args:
            filepath: a path that ends in `.keras`, for `keras.models.load_model`; or a
                directory, for `load` and for the commands. The directory receives
                `model.keras` and `config.json`.
            overwrite: whether Keras may replace a `.keras` file.
            **kwargs: of `keras.Model.save`, for a `.keras` file.

        Raises:
            InputError: if the directory belongs to another command or to a teacher.

        Example:

        >>> student.save("student.keras")
        >>> student.save("runs/digits/copy_of_student")
        """
        if str(filepath).endswith((".keras", ".h5", ".hdf5")):
            super().save(filepath, overwrite=overwrite, **kwargs)
            return
        configs = {
            "unet": self.unet.config,
            "diffusion": self.diffusion,
            "origin": self.origin,
        }
        directory = str(filepath)
        weights_file.save(
            directory,
            self,
            claim=lambda: RunDirectory.claim(
                directory, "save", configs, network="student"
            ),
        )

    def generate(
        self,
        n: int,
        seed: int = 0,
        *,
        labels: Sequence[int] | None = None,
        run: RunConfig | None = None,
    ) -> np.ndarray:
        """Generates the images of a seed.

        `tf-student sample` and an exported model give the same images for the seed.

        Args:
            n: number of images.
            seed: seed of the noise, which is a function of the seed and of an image's
                index, on any machine.
            labels: the class of each image, for a network with classes; None draws it
                from the seed and the image's index.
            run: how to use the devices, and the compute type; None computes in the
                student's own. All visible GPUs share the work.

        Returns:
            uint8 `[n, height, width, channels]`.

        Raises:
            InputError: if `n` is negative, or if labels are not those of classes.

        Example:

        >>> student.generate(16, seed=7).dtype
        dtype('uint8')
        """
        run = run or RunConfig(dtype=self.unet.compute_dtype)
        strategy = devices.open_devices(run)
        generator = self.generator(strategy, devices.for_count(run, n, strategy))
        return generator.from_seed(seed, noise.EVALUATION, n, labels)

    def generator(self, strategy: tf.distribute.Strategy, run: RunConfig) -> Generator:
        """A function from the network's inputs to uint8 images on all replicas."""
        policy = devices.policy(run.dtype)
        student = self
        if strategy.num_replicas_in_sync > 1 or self.unet.dtype_policy.name != policy:
            with strategy.scope():
                unet = self.unet.copy(dtype=policy)
                student = Student(unet, self.diffusion, dtype=policy)
        return Generator(
            strategy, student, self.image_shape, classes=self.classes, run=run
        )

    @property
    def classes(self) -> int:
        """Number of classes; 0: the network has none."""
        return self.unet.config.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of an image."""
        return self.unet.config.image_shape

    def call(self, inputs, training=False, seed=None):
        z, labels = split(inputs)
        t = tf.fill([tf.shape(z)[0]], self.diffusion.timesteps - 1)
        output = self.unet(z, t, labels, training=training, seed=seed)
        if self.diffusion.prediction == "epsilon":
            return z - output
        x_0, _ = predictions.x_0_and_eps(
            z,
            output,
            alpha_bar=float(schedules.alpha_bars(self.diffusion)[-1]),
            prediction=self.diffusion.prediction,
        )
        return x_0

    def compute_output_shape(self, inputs_shape):
        of_pair = isinstance(inputs_shape[0], tuple | list)
        return inputs_shape[0] if of_pair else inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "unet": keras.saving.serialize_keras_object(self.unet),
            "diffusion": to_dict(self.diffusion),
            "origin": to_dict(self.origin),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        unet = keras.saving.deserialize_keras_object(config.pop("unet"))
        # Version 0.1 stored only T.
        if "timesteps" in config:
            config["diffusion"] = {"timesteps": config.pop("timesteps")}
        diffusion = from_dict(DiffusionConfig, config.pop("diffusion"))
        origin = from_dict(Origin, config.pop("origin", {}))
        return cls(unet, diffusion, origin=origin, **config)


def as_student(student: Student | str) -> Student:
    """Loads a student from its run directory, unless it is one already."""
    return student if isinstance(student, Student) else Student.load(student)
