"""The command `distill`: a student from pairs."""

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
from tf_student.training.train_network import TrainRun, train_network
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
    """Trains a student from the teacher's weights.

    The result is the EMA weights with the lowest held-out loss. An interrupted call
    continues from the last checkpoint. With several workers in `TF_CONFIG`, give
    directories for teacher and pairs: workers must connect before TensorFlow runs.

    Args:
        teacher: a teacher or its directory.
        pairs: its pairs: a set, its directory, or those of `online_pairs`.
        directory: gets `model.keras`, checkpoints, metrics and image grids.
        config: the distance, and how many pairs to use.
        train: batch size, steps and optimizer.
        log: how often to report and to save.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The student. Of several workers only the chief returns the best weights; the
        others return the last ones.

    Raises:
        InputError: if the pairs were made by another teacher or are damaged, or if the
            directory belongs to another run.
        DivergedError: if the loss is not finite.
        Preempted: on SIGTERM, after saving.

    Example:

    >>> student = distill(teacher, pairs, "runs/digits/student")
    """
    strategy = devices.open_devices(run, train.seed, workers=True)
    if isinstance(pairs, str):
        pairs, name = PairSet(pairs), pairs
    else:
        name = getattr(pairs, "directory", "`pairs`")
    teacher = as_teacher(teacher)
    manifests.check_teacher(name, pairs.manifest, teacher.fingerprint)
    origin = Origin(pairs.manifest.teacher, pairs.fingerprint)
    configs = {
        "unet": teacher.unet.config,
        "diffusion": teacher.diffusion,
        "distill": config,
        "origin": origin,
    }
    with contextlib.closing(pairs):
        task = StudentTask(pairs, config, directory, train.seed, run.device_batch)
        state = train_network(
            task,
            _maker(teacher, origin, run),
            TrainRun(
                directory, "distill", "student", configs, train, run, log, progress
            ),
            strategy,
        )
    if not devices.is_chief(strategy):
        # The chief may still be writing the best weights.
        return state.ema
    return Student.load(directory, dtype=run.dtype)


def _maker(teacher: Teacher, origin: Origin, run: RunConfig) -> Callable[[], Student]:
    """Creates students that start from the teacher's weights."""
    policy = devices.policy(run.dtype)

    def make() -> Student:
        unet = teacher.unet.copy(dtype=policy, recompute=run.recompute)
        return Student(unet, teacher.diffusion, origin=origin, dtype=policy)

    return make
