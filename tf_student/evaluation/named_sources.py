"""Opens sources of images by path or by name."""

import dataclasses
import os
import re

import tensorflow as tf

from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import image_sources, saved_model_source, statistics
from tf_student.evaluation.image_sources import Source
from tf_student.models import sample_folder
from tf_student.models.student import Student
from tf_student.models.teacher import as_teacher
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.serving import versions


@dataclasses.dataclass(frozen=True)
class Opener:
    """Opens sources of images by path or by name.

    Attributes:
        strategy: generates the images of a teacher or a student.
        sampler: solver and steps of a teacher.
        run: how to use the devices.
        data_dir: where TFDS keeps its data.
    """

    strategy: tf.distribute.Strategy
    sampler: SamplerConfig
    run: RunConfig
    data_dir: str = ""

    def open(
        self, name: str, *, option: str, shape: tuple[int, int, int] | None = None
    ) -> Source:
        """Opens a source of images.

        Args:
            name: a SavedModel with the signature `serving_default` from noise to
                images, or the directory of its versions; the run directory of a teacher
                or a student; a folder of images; an `.npz` file of images or of
                statistics; `digits`, a TFDS name, or a folder that TFDS prepared.
                `:name` after a file or a TFDS name chooses an array or a split.
            option: the argument's name, for messages.
            shape: the shape that TFDS images are brought to; None keeps their own.

        Raises:
            InputError: if the source does not exist or cannot be read.
        """
        if saved_model := versions.newest(name):
            return saved_model_source.load(saved_model, self.run)
        if RunDirectory.exists(name):
            return self._open_run(name)
        path, split = _split_name(name)
        kind = datasets.kind(path)
        # An array that is named wins over statistics beside it.
        if kind == "npz" and not split and statistics.has_statistics(path):
            return image_sources.from_statistics(statistics.load(path))
        self._check(name, path, split, option)
        data = DataConfig(path, split or "train", self.data_dir)
        return open_real(data, shape if kind in ("digits", "tfds") else None)

    def _check(self, name: str, path: str, split: str, option: str) -> None:
        """Raises an `InputError` for a path or a split that does not exist."""
        kind = datasets.kind(path)
        if split and kind in ("digits", "folder"):
            raise InputError(
                f"`{option}` must have no split, because {path} has none. "
                f"Received: {option}={name}."
            )
        if kind == "folder" and len(drawn := sample_folder.draws(path)) > 1:
            raise InputError(
                f"`{option}` must hold the images of one network. Received: "
                f"{option}={name}, which holds those of {', '.join(drawn)}."
            )
        if kind == "tfds" and datasets.is_path(path, self.data_dir):
            is_file = tf.io.gfile.exists(path)
            expected = "be a folder or an .npz file" if is_file else "exist"
            raise InputError(f"`{option}` must {expected}. Received: {option}={name}.")

    def _open_run(self, directory: str) -> Source:
        name = os.path.normpath(directory)
        if RunDirectory.open(directory).network == "student":
            generator = Student.load(directory).generator(self.strategy, self.run)
            return image_sources.from_generator(name, generator, 1)
        teacher = as_teacher(directory)
        generator = teacher.generator(self.strategy, self.sampler, self.run)
        calls = teacher.network_calls(self.sampler)
        return image_sources.from_generator(name, generator, calls)


def open_real(
    real: DataConfig | str, shape: tuple[int, int, int] | None, maximum: int = 0
) -> Source:
    """Opens a set of images.

    Args:
        real: the images, or the name of their dataset.
        shape: the shape that the images are brought to; None keeps their own.
        maximum: the source has at most this many images; 0 uses all of them.

    Raises:
        InputError: if the images cannot be read.
    """
    data = DataConfig(real) if isinstance(real, str) else real
    return image_sources.from_images(datasets.load(data, shape), maximum)


def _split_name(name: str) -> tuple[str, str]:
    """Splits `cifar10:train[:50%]` into name and split; a path may contain colons."""
    # Colons in brackets are part of a split, or of a path.
    masked = re.sub(r"\[[^\]]*\]", lambda match: "_" * len(match[0]), name)
    path, colon, split = masked.rpartition(":")
    if not colon or "/" in split or tf.io.gfile.exists(name):
        return name, ""
    return name[: len(path)], name[len(path) + 1 :]
