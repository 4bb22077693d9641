"""Station 3: a student from pairs."""

import contextlib
from collections.abc import Callable

import tensorflow as tf

from tf_student import model_directory
from tf_student.config import RunConfig
from tf_student.errors import InputError
from tf_student.pairs import records
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.stations.training import train_network
from tf_student.student import Student
from tf_student.training import distribute
from tf_student.training.distill import DistillTask
from tf_student.unet import UNet


def distill(
    directory: str,
    teacher_directory: str,
    pairs_directory: str | None,
    system: Preset,
    run: RunConfig,
    *,
    progress: bool = False,
) -> None:
    """Trains a student from the teacher's weights; `model.keras` is the best average.

    Args:
        directory: of the student.
        teacher_directory: of the teacher.
        pairs_directory: of its pairs; None if `system.distill.online` has them made on
            the way, by the system's sampler.
        system: how to train.
        run: how to use the machine.
        progress: whether to draw a progress bar on stderr.

    Raises:
        InputError: if the pairs were made by another teacher or are damaged, if there
            are two sources of them or none, if there are several workers online, or if
            the directory belongs to another run.
    """
    _check_source(pairs_directory, online=system.distill.online)
    strategy = session.open_devices(run, system.student.seed, workers=True)
    if system.distill.online:
        teacher, pair_set = _make_online(strategy, teacher_directory, system, run)
    else:
        teacher, pair_set = _open_stored(teacher_directory, pairs_directory)
    with contextlib.closing(pair_set):
        manifest = pair_set.manifest
        task = DistillTask(
            pair_set, system.distill, directory, system.student.seed, run.device_batch
        )
        train_network(
            task,
            _maker(teacher, manifest.diffusion.timesteps, run),
            directory,
            station="distill",
            configs={
                "unet": teacher.config,
                "diffusion": manifest.diffusion,
                "distill": system.distill,
                "origin": _origin(manifest, online=system.distill.online),
            },
            strategy=strategy,
            config=system.student,
            run=run,
            log=system.log,
            progress=progress,
        )


def _check_source(pairs_directory: str | None, *, online: bool) -> None:
    if online and pairs_directory:
        raise InputError(
            "`pairs_dir` must be left out with `online`, which stores no pairs. "
            f"Received: pairs_dir={pairs_directory}."
        )
    if not (online or pairs_directory):
        raise InputError(
            "`pairs_dir` must be given without `online`. "
            f"Received: pairs_dir={pairs_directory!r}."
        )
    workers = distribute.workers_in_environment()
    if online and workers > 1:
        raise InputError(
            "`online` must be off where TF_CONFIG names several workers: these share "
            f"stored pairs. Received: online=True, workers={workers}."
        )


def _open_stored(teacher_directory: str, pairs_directory: str) -> tuple[UNet, PairSet]:
    pair_set = PairSet(pairs_directory)
    teacher = model_directory.load_teacher(teacher_directory)
    manifest = pair_set.manifest
    session.check_maker(pairs_directory, manifest, teacher_directory, teacher)
    return teacher, pair_set


def _make_online(
    strategy: tf.distribute.Strategy,
    teacher_directory: str,
    system: Preset,
    run: RunConfig,
) -> tuple[UNet, OnlinePairs]:
    generator, teacher = session.teacher_generator(
        strategy, teacher_directory, system.sampler, run
    )
    manifest = session.plan_pairs(teacher_directory, teacher, system, run)
    return teacher, OnlinePairs(manifest, generator, batch=generator.batch)


def _origin(manifest: records.Manifest, *, online: bool) -> records.Origin:
    pairs = records.fingerprint(manifest)
    # Without the files' digests it is another than the stored set's.
    return records.Origin(manifest.teacher, f"online-{pairs}" if online else pairs)


def _maker(teacher: UNet, timesteps: int, run: RunConfig) -> Callable[[], Student]:
    """Makes students that begin with the teacher's weights."""
    weights, policy = teacher.get_weights(), distribute.policy(run.dtype)

    def make() -> Student:
        unet = UNet(teacher.config, recompute=run.recompute, dtype=policy)
        unet.set_weights(weights)
        return Student(unet, timesteps, dtype=policy)

    return make
