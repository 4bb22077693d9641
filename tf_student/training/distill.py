"""The command `distill`: trains a student on pairs."""

import contextlib
from collections.abc import Callable

from tf_student.models.student import Origin, Student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.pairs import manifests
from tf_student.pairs.interface import Pairs
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig
from tf_student.training.student_task import StudentTask
from tf_student.training.train_network import train_network
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig


def distill(
    teacher: Teacher | str,
    pairs: Pairs | str,
    directory: str,
    *,
    config: DistillConfig = DistillConfig(),
    train: TrainConfig = TrainConfig(),
    log: LogConfig = LogConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Student:
    """Trains a student, which starts from the teacher's weights.

    The result has the EMA weights with the lowest held-out loss. The same call resumes
    an interrupted run from its last checkpoint. With several workers in `TF_CONFIG`,
    pass directories: workers must connect before TensorFlow runs an operation.

    Args:
        teacher: a teacher or its run directory.
        pairs: a `PairSet`, its directory, or `online_pairs(...)`; closed at the end.
        directory: gets `model.keras`, checkpoints, metrics and image grids.
        config: the distance, and how many pairs to use.
        train: batch size, steps and optimizer.
        log: how often to report and to save.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The student. Of several workers, only the chief returns the best weights.

    Raises:
        InputError: if the pairs are damaged or of another teacher, or if the directory
            belongs to another run.
        DivergedError: if the loss is not finite.
        Preempted: on SIGTERM, after saving.

    Example:

    >>> student = distill(teacher, pairs, "runs/digits/new_student",
    ...                   train=TrainConfig(steps=2, batch_size=4))
    """
    strategy = devices.open_devices(run, train.seed, workers=True)
    setup = TrainRun(directory, strategy, train, log, run, progress)
    return _distill(as_teacher(teacher), _open(pairs), config, setup)


def _open(pairs: Pairs | str) -> Pairs:
    return PairSet(pairs) if isinstance(pairs, str) else pairs


def _distill(
    teacher: Teacher, pairs: Pairs, config: DistillConfig, setup: TrainRun
) -> Student:
    name = getattr(pairs, "directory", "`pairs`")
    manifests.check_teacher(
        name, pairs.manifest, teacher.fingerprint, teacher.diffusion
    )
    origin = Origin(pairs.manifest.teacher, pairs.fingerprint)
    task = StudentTask(
        pairs, config, setup.directory, setup.train.seed, setup.run.device_batch
    )
    configs = {
        "unet": teacher.unet.config,
        "diffusion": teacher.diffusion,
        "distill": config,
        "origin": origin,
    }
    with contextlib.closing(pairs):
        state = train_network(
            task,
            _student_maker(teacher, origin, setup.run),
            setup,
            command="distill",
            configs=configs,
        )
    if not setup.is_chief:
        # The chief may still be writing the best weights.
        return state.ema
    return Student.load(setup.directory, dtype=setup.run.dtype)


def _student_maker(
    teacher: Teacher, origin: Origin, run: RunConfig
) -> Callable[[], Student]:
    """Returns a function that creates students with the teacher's weights."""
    policy = devices.policy(run.dtype)

    def make() -> Student:
        unet = teacher.unet.copy(dtype=policy, recompute=run.recompute)
        return Student(unet, teacher.diffusion, origin=origin, dtype=policy)

    return make
