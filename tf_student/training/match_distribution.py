"""The command `match`: matches a student's images to its teacher's distribution.

The student is no longer held to the teacher's image for each noise, so it can become
better than the sampler that made its pairs. It needs no images: the frozen teacher and
a fake score, which learns to denoise the student's images, show in which direction to
change them. No network uses dropout.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable

import keras

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet
from tf_student.models.discriminator import Discriminator
from tf_student.models.student import Origin, Student, as_student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.models.unet import UNet
from tf_student.pairs import manifests
from tf_student.pairs.interface import Pairs
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.training.match_config import MatchConfig
from tf_student.training.match_phases import DISCRIMINATOR, FAKE
from tf_student.training.match_task import MatchTask, Quality
from tf_student.training.train_network import train_network
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import LogConfig, TrainConfig


def match_distribution(
    teacher: Teacher | str,
    student: Student | str,
    directory: str,
    *,
    config: MatchConfig = MatchConfig(),
    pairs: Pairs | str | None = None,
    real: DataConfig | str | None = None,
    quality: Quality | None = None,
    train: TrainConfig = TrainConfig(),
    log: LogConfig = LogConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Student:
    """Matches a student's images to the distribution of its teacher's.

    The same call resumes an interrupted run. Returns the student; of several workers,
    which must pass directories, only the chief returns the kept weights.

    Args:
        teacher: a teacher or its run directory.
        student: a student of it or its run directory, which `distill` wrote.
        directory: gets `model.keras`, checkpoints, metrics and image grids.
        config: the objective, and which weights to keep.
        pairs: pairs or their directory; read, then closed, if `config.regression`.
        real: real images, or the name of their dataset, for `config.adversarial`.
        quality: for `config.keep="fid"`, such as `ImageQuality("cifar10")`.
        train: batch size, steps and optimizer of the student.
        log: how often to report and to save.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Raises:
        InputError: if inputs do not fit each other, the options or the directory.
        DivergedError, Preempted: as `distill`, and if the fake score falls behind.

    Example:

    >>> matched = match_distribution(teacher, student, "runs/digits/new_matched",
    ...                              train=TrainConfig(steps=2, batch_size=4))
    """
    strategy = devices.open_devices(run, train.seed, workers=True)
    setup = TrainRun(directory, strategy, train, log, run, progress)
    inputs = _Inputs(config, pairs, real, quality)
    return _match(as_teacher(teacher), as_student(student), inputs, setup)


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """The options, and what they need.

    Raises:
        InputError: if something that the options need is missing, or given in vain.
    """

    config: MatchConfig
    pairs: Pairs | str | None
    real: DataConfig | str | None
    quality: Quality | None

    def __post_init__(self):
        if self.config.regression and self.pairs is None:
            raise InputError("`pairs` must be given with regression above 0.")
        needs = {
            "real": ("adversarial above 0", self.config.adversarial > 0),
            "quality": ("keep=fid", self.config.keep == "fid"),
        }
        for name, (option, needed) in needs.items():
            if needed and getattr(self, name) is None:
                raise InputError(f"`{name}` must be given with {option}.")
            if not needed and getattr(self, name) is not None:
                raise InputError(f"`{name}` must not be given without {option}.")

    def open_pairs(self, teacher: Teacher) -> Pairs | None:
        """The pairs, which must be those of the teacher."""
        weight = self.config.regression
        if self.pairs is None or not weight:
            return None
        try:
            pairs = PairSet(self.pairs) if isinstance(self.pairs, str) else self.pairs
        except InputError as error:
            hint = f"Pairs are read because of regression={weight:g}; 0 needs none."
            raise InputError(f"{error} {hint}") from error
        name = getattr(pairs, "directory", "`pairs`")
        manifests.check_teacher(
            name, pairs.manifest, teacher.fingerprint, teacher.diffusion
        )
        return pairs

    def open_real(self, teacher: Teacher) -> ImageSet | None:
        """The real images, with the labels that the teacher needs."""
        if self.real is None:
            return None
        real = DataConfig(self.real) if isinstance(self.real, str) else self.real
        images = datasets.load(real, teacher.image_shape)
        if teacher.classes:
            images.checked_label(teacher.classes)
        return images


def _check_student(student: Student, teacher: Teacher) -> None:
    """Checks that the student is one of this teacher."""
    expected, received = teacher.fingerprint, student.origin.teacher
    if received and received != expected:
        raise InputError(
            "`student` must be a student of `teacher`. Expected: the teacher "
            f"{expected[:16]}, received: a student of {received[:16]}."
        )
    # Converted weights do not say which teacher they had.
    for mine, other in (
        (_architecture(student.unet), _architecture(teacher.unet)),
        (student.diffusion, teacher.diffusion),
    ):
        if mine != other:
            raise InputError(
                "`student` must have the network and the process of `teacher`. "
                f"Expected: {other}, received: {mine}."
            )


def _architecture(unet: UNet) -> UNetConfig:
    """The architecture, without dropout, which changes no weight."""
    return dataclasses.replace(unet.config, dropout=0.0)


def _task(
    teacher: Teacher, student: Student, inputs: _Inputs, setup: TrainRun
) -> MatchTask:
    pairs, real = inputs.open_pairs(teacher), inputs.open_real(teacher)
    # Only the chief measures.
    if inputs.quality is not None and setup.is_chief:
        inputs.quality.prepare(teacher.image_shape)
    with setup.strategy.scope():
        frozen = _copier(teacher.unet, setup)()
    return MatchTask(
        teacher=frozen,
        start=student,
        config=inputs.config,
        strategy=setup.strategy,
        directory=setup.directory,
        seed=setup.train.seed,
        run=setup.run,
        pairs=pairs,
        real=real,
        quality=inputs.quality,
    )


def _copier(unet: UNet, setup: TrainRun) -> Callable[[], UNet]:
    """A function that copies a network for this run."""
    return functools.partial(
        unet.copy,
        dtype=devices.policy(setup.run.dtype),
        recompute=setup.run.recompute,
        dropout=0.0,
    )


def _match(
    teacher: Teacher, student: Student, inputs: _Inputs, setup: TrainRun
) -> Student:
    _check_student(student, teacher)
    task = _task(teacher, student, inputs, setup)
    origin = dataclasses.replace(
        student.origin,
        teacher=teacher.fingerprint,
        student=student.unet.fingerprint(),
        objective=inputs.config.objective,
    )
    with contextlib.closing(task.pairs) if task.pairs else contextlib.nullcontext():
        state = train_network(
            task,
            _student_maker(student, origin, setup),
            setup,
            command="match",
            configs={
                "unet": _architecture(student.unet),
                "diffusion": teacher.diffusion,
                "match": inputs.config,
                "origin": origin,
            },
            helpers=_helpers(teacher.unet, inputs.config, setup),
        )
    if not setup.is_chief:
        # The chief may still be writing the weights.
        return state.ema
    return Student.load(setup.directory, dtype=setup.run.dtype)


def _student_maker(
    student: Student, origin: Origin, setup: TrainRun
) -> Callable[[], Student]:
    """A function that copies the student at the start."""
    copy, policy = _copier(student.unet, setup), devices.policy(setup.run.dtype)
    return lambda: Student(copy(), student.diffusion, origin=origin, dtype=policy)


def _helpers(
    teacher: UNet, config: MatchConfig, setup: TrainRun
) -> dict[str, tuple[Callable[[], keras.Model], TrainConfig]]:
    """The networks that are trained beside the student, and their optimizers."""
    train, policy = setup.train, devices.policy(setup.run.dtype)
    helpers: dict[str, tuple[Callable[[], keras.Model], TrainConfig]] = {
        FAKE: (_copier(teacher, setup), config.fake_training(train))
    }
    if config.adversarial:
        helpers[DISCRIMINATOR] = (
            lambda: Discriminator(teacher.config, dtype=policy),
            config.discriminator_training(train),
        )
    return helpers
