"""What stations open before they work: devices, and networks as generators."""

import os

import keras
import tensorflow as tf

from tf_student import files, model_directory, run_directory, schedules
from tf_student.config import DiffusionConfig, RunConfig, SamplerConfig, UNetConfig
from tf_student.convert.config import ConvertConfig
from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.errors import InputError
from tf_student.generator import Generator
from tf_student.pairs import records
from tf_student.presets import Preset
from tf_student.training import distribute
from tf_student.training.teacher import make_sampler
from tf_student.unet import UNet


def open_devices(
    run: RunConfig, seed: int = 0, *, workers: bool = False
) -> tf.distribute.Strategy:
    """Seeds the initial weights, chooses the kernels and takes all visible devices.

    Args:
        run: says which kernels.
        seed: of the initial weights.
        workers: take those of the other workers that TF_CONFIG names too. It must then
            be called before any operation runs.

    Raises:
        InputError: if `fused=on` asks for kernels that were not built, or TF_CONFIG
            cannot be understood.
    """
    try:
        ops.set_mode(run.fused)
    except ValueError as error:
        raise InputError(f"`fused`: {error}") from error
    keras.utils.set_random_seed(seed % 2**32)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    if workers:
        return distribute.make_workers_strategy()
    return distribute.make_strategy()


def teacher_generator(
    strategy: tf.distribute.Strategy,
    directory: str,
    config: SamplerConfig,
    run: RunConfig,
) -> tuple[Generator, UNet]:
    """A finished teacher behind its sampler, and its network."""
    with strategy.scope():
        teacher = model_directory.load_teacher(directory, distribute.policy(run.dtype))
    diffusion = run_directory.read_config(directory, "diffusion", DiffusionConfig)
    sample = make_sampler(teacher, diffusion, config)
    return _generator(strategy, sample, teacher.config, run), teacher


def plan_pairs(
    directory: str, teacher: UNet, system: Preset, run: RunConfig
) -> records.Manifest:
    """What the pairs of a finished teacher would be, by the system's sampler.

    Args:
        directory: of the teacher.
        teacher: its network.
        system: its sampler and its pairs.
        run: as for the generator that makes them.
    """
    return records.plan(
        model_directory.fingerprint(teacher),
        teacher.config.image_shape,
        run_directory.read_config(directory, "diffusion", DiffusionConfig),
        system.sampler,
        system.pairs,
        run,
    )


def student_generator(
    strategy: tf.distribute.Strategy, directory: str, run: RunConfig
) -> Generator:
    """A finished student."""
    with strategy.scope():
        student = model_directory.load_student(directory, distribute.policy(run.dtype))
    return _generator(strategy, student, student.unet.config, run)


def check_maker(
    directory: str, manifest: records.Manifest, teacher_directory: str, teacher: UNet
) -> None:
    """Raises an `InputError` if the pairs in `directory` are not of that teacher."""
    fingerprint = model_directory.fingerprint(teacher)
    if fingerprint != manifest.teacher:
        raise InputError(
            f"{directory} was made by another teacher than {teacher_directory}. "
            f"Expected: {manifest.teacher[:16]}, received: {fingerprint[:16]}."
        )


def holds_student(directory: str) -> bool:
    """Whether a network's directory holds a student, and no teacher."""
    values = files.read_json(os.path.join(directory, run_directory.CONFIG))
    if values.get("station") == "convert":
        config = run_directory.read_config(directory, "convert", ConvertConfig)
        return config.network == "student"
    return values.get("station") == "distill"


def network_calls(teacher_directory: str, config: SamplerConfig) -> int:
    """Network calls that the teacher needs for an image."""
    diffusion = run_directory.read_config(
        teacher_directory, "diffusion", DiffusionConfig
    )
    return len(schedules.sampling_timesteps(config, diffusion))


def _generator(strategy, sample, unet: UNetConfig, run: RunConfig) -> Generator:
    return Generator(
        strategy,
        sample,
        unet.image_shape,
        device_batch=run.device_batch,
        xla=distribute.use_xla(run.xla),
    )
