"""The many-step diffusion model that a student is distilled from."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion import guidance, noise, samplers, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.diffusion.inputs import Inputs, split
from tf_student.models import pretrained, weights_file
from tf_student.models.generator import Generator
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory


class Teacher:
    """A diffusion model: a UNet and its forward process.

    Args:
        unet: eps(x, t), the prediction of the noise in x at time step t; or of what
            `diffusion.prediction` names.
        diffusion: the forward process that the UNet was trained on.

    Attributes:
        unet: the UNet, a Keras model.
        diffusion: the forward process.

    Example:

    >>> unet = UNet(image_size=8, channels=1, base_width=32, groups=8,
    ...             width_multipliers=(1, 2), attention_resolutions=(4,))
    >>> teacher = Teacher(unet)
    >>> teacher.sample(4, seed=0, sampler=SamplerConfig(calls=5)).shape
    (4, 8, 8, 1)
    """

    def __init__(self, unet: UNet, diffusion: DiffusionConfig = DiffusionConfig()):
        self.unet, self.diffusion = unet, diffusion

    @classmethod
    def load(cls, directory: str, *, dtype: str = "float32") -> "Teacher":
        """Loads the teacher of a run.

        Args:
            directory: the directory that `train_teacher`, `convert_weights` or `save`
                wrote.
            dtype: the compute type: `float32`, `bfloat16` or `float16`. The weights
                are float32.

        Raises:
            InputError: if the teacher is missing, unfinished or damaged, or if the
                directory has a student.

        Example:

        >>> teacher = Teacher.load("runs/digits/teacher")
        """
        run = weights_file.open_run(directory, "teacher")
        weights_file.check_exists(directory)
        unet = UNet(run.config("unet", UNetConfig), dtype=devices.policy(dtype))
        weights_file.load(directory, unet)
        return cls(unet, run.config("diffusion", DiffusionConfig))

    @classmethod
    def from_pretrained(cls, source: str, **options: Any) -> "Teacher":
        """Reads published weights.

        Args:
            source: `hf:owner/name` on the Hugging Face Hub, a folder of diffusers, a
                TensorFlow checkpoint of DDPM, a PyTorch checkpoint (`.pth`, `.ckpt`),
                or an `.h5` file of the Denoising Student.
            **options: fields of `UNetConfig` that replace what the source implies, such
                as `image_size` if the file does not store it.

        Raises:
            InputError: if the source cannot be read or does not fit the network, or if
                it is a student.

        Example:

        >>> teacher = Teacher.from_pretrained(  # doctest: +SKIP
        ...     "hf:google/ddpm-cifar10-32")
        """
        published = pretrained.read(source, **options)
        if published.is_student:
            raise InputError(
                f"`source` must be a teacher. Received: the student {source}, which "
                "`convert_weights` reads."
            )
        return cls(published.unet, published.diffusion)

    def save(self, directory: str) -> None:
        """Writes `model.keras` and `config.json`, for `load` and for the commands.

        Args:
            directory: where to write; it is created if it is missing.

        Raises:
            InputError: if the directory belongs to another command or to a student.

        Example:

        >>> teacher.save("runs/digits/copy_of_teacher")
        """
        configs = {"unet": self.unet.config, "diffusion": self.diffusion}
        weights_file.save(
            directory,
            self.unet,
            claim=lambda: RunDirectory.claim(
                directory, "save", configs, network="teacher"
            ),
        )

    def sampler(
        self, config: SamplerConfig = SamplerConfig()
    ) -> Callable[[Inputs], tf.Tensor]:
        """The teacher's deterministic sampler.

        Args:
            config: solver, spacing and number of steps.

        Returns:
            A function from float32 noise `[batch, height, width, channels]` to float32
            images of the same shape, about [-1, 1]; for a network with classes, from
            the pair of noise and int32 labels `[batch]`.

        Raises:
            InputError: if `config.guidance` needs a null class that the network lacks.

        Example:

        >>> sample = teacher.sampler(SamplerConfig("quadratic", 100))
        >>> images = sample(tf.random.normal([4, *teacher.image_shape]))
        """
        return _sampler(self.unet, self.diffusion, config)

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        labels: Sequence[int] | None = None,
        sampler: SamplerConfig = SamplerConfig(),
        run: RunConfig | None = None,
    ) -> np.ndarray:
        """Samples the images of a seed.

        `tf-student sample --network=teacher` gives the same images for the seed.

        Args:
            n: number of images.
            seed: seed of the noise; a student starts from the same noise for the same
                seed.
            labels: the class of each image, for a network with classes; None draws it
                from the seed and the image's index.
            sampler: solver, spacing and number of steps.
            run: how to use the devices, and the compute type; None computes in the
                teacher's own. All visible GPUs share the work.

        Returns:
            uint8 `[n, height, width, channels]`.

        Raises:
            InputError: if `n` is negative, or if labels are not those of classes.

        Example:

        >>> teacher.sample(16, seed=7, sampler=SamplerConfig(calls=20)).dtype
        dtype('uint8')
        """
        run = run or RunConfig(dtype=self.unet.compute_dtype)
        strategy = devices.open_devices(run)
        run = devices.for_count(run, n, strategy)
        generator = self.generator(strategy, sampler, run)
        return generator.from_seed(seed, noise.EVALUATION, n, labels)

    def generator(
        self,
        strategy: tf.distribute.Strategy,
        sampler: SamplerConfig,
        run: RunConfig,
    ) -> Generator:
        """A function from the network's inputs to uint8 images on all replicas."""
        policy, unet = devices.policy(run.dtype), self.unet
        if strategy.num_replicas_in_sync > 1 or unet.dtype_policy.name != policy:
            with strategy.scope():
                unet = unet.copy(dtype=policy)
        sample = _sampler(unet, self.diffusion, sampler)
        return Generator(
            strategy, sample, self.image_shape, classes=self.classes, run=run
        )

    def network_calls(self, sampler: SamplerConfig) -> int:
        """Number of network calls for an image; guidance needs twice as many."""
        return schedules.network_calls(sampler, self.diffusion)

    @property
    def classes(self) -> int:
        """Number of classes; 0: the network has none."""
        return self.unet.config.classes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of architecture and weights; it identifies the teacher of pairs."""
        return self.unet.fingerprint()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of an image."""
        return self.unet.config.image_shape


def as_teacher(teacher: Teacher | str) -> Teacher:
    """Loads a teacher from its run directory, unless it is one already."""
    return teacher if isinstance(teacher, Teacher) else Teacher.load(teacher)


def require_unconditional(config: UNetConfig, name: str) -> None:
    """Raises an `InputError` if a network has classes."""
    if config.classes:
        raise InputError(
            f"`{name}` must have no classes. Received: classes={config.classes}."
        )


def check_guidance(unet: UNetConfig, sampler: SamplerConfig) -> None:
    """Raises an `InputError` if a sampler needs a null class that a network lacks."""
    if sampler.guidance != 1 and not unet.label_dropout:
        raise InputError(
            "`guidance` must be 1 for a network without a null class, which training "
            f"with `label_dropout` gives it. Received: guidance={sampler.guidance}."
        )


def _sampler(
    unet: UNet, diffusion: DiffusionConfig, config: SamplerConfig
) -> Callable[[Inputs], tf.Tensor]:
    check_guidance(unet.config, config)

    def sample(inputs: Inputs) -> tf.Tensor:
        z, labels = split(inputs)
        return samplers.make_sampler(network(labels), diffusion, config)(z)

    def network(labels: tf.Tensor | None) -> samplers.Network:
        if labels is None:
            return lambda x, t: unet(x, t, training=False)
        return guidance.guided(
            lambda x, t, labels: unet(x, t, labels, training=False),
            labels,
            guidance=config.guidance,
            null_label=unet.config.classes,
        )

    return sample
