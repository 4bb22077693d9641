"""Station 3: a student from pairs."""

import contextlib

import tensorflow as tf

from tf_student import model_directory, run_directory
from tf_student.config import RunConfig
from tf_student.errors import InputError
from tf_student.pairs import records
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.student import Student
from tf_student.training import distribute
from tf_student.training.distill import DistillTask
from tf_student.training.loop import train
from tf_student.training.state import TrainState
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
        if distribute.is_chief(strategy):
            _claim(directory, teacher, pair_set, system, run)
        task = DistillTask(
            pair_set, system.distill, directory, system.student.seed, run.device_batch
        )
        train(
            task,
            _student_state(strategy, teacher, pair_set.manifest, system, run),
            directory,
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
    fingerprint = model_directory.fingerprint(teacher)
    if fingerprint != pair_set.manifest.teacher:
        raise InputError(
            f"{pairs_directory} was made by another teacher than {teacher_directory}. "
            f"Expected: {pair_set.manifest.teacher[:16]}, received: {fingerprint[:16]}."
        )
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


def _claim(directory, teacher, pair_set, system, run) -> None:
    pairs = records.fingerprint(pair_set.manifest)
    if system.distill.online:
        # Without the files' digests it is another than the stored set's.
        pairs = f"online-{pairs}"
    run_directory.claim(
        directory,
        "distill",
        {
            "unet": teacher.config,
            "diffusion": pair_set.manifest.diffusion,
            "distill": system.distill,
            "train": system.student,
            "run": run,
            "log": system.log,
            "origin": records.Origin(pair_set.manifest.teacher, pairs),
        },
    )


def _student_state(strategy, teacher, manifest, system, run) -> TrainState:
    weights, policy = teacher.get_weights(), distribute.policy(run.dtype)

    def make_student():
        unet = UNet(teacher.config, dtype=policy)
        unet.set_weights(weights)
        return Student(unet, manifest.diffusion.timesteps, dtype=policy)

    return TrainState(strategy, make_student, system.student)
