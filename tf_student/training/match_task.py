"""The task of distribution matching: a student against a teacher and a fake score."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tf_student.data import grids, streams
from tf_student.data.image_set import ImageSet
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.models.generator import Generator
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.pairs.interface import Pairs
from tf_student.runtime import devices
from tf_student.runtime.errors import DivergedError
from tf_student.runtime.run_config import RunConfig
from tf_student.training import match_draws, match_phases
from tf_student.training.best_weights import BestWeights
from tf_student.training.match_config import MatchConfig
from tf_student.training.match_phases import MatchPhases
from tf_student.training.phases import Phase
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.training_config import TrainConfig

_GRID = 64


class Quality(Protocol):
    """Measures generated images during a run.

    Attributes:
        samples: number of images.
    """

    samples: int

    def prepare(self, shape: tuple[int, int, int]) -> None:
        """Opens what it needs, for images of a shape, before training.

        Raises:
            InputError: if something cannot be read.
        """

    def __call__(self, images: np.ndarray) -> Mapping[str, float]:
        """Scores of uint8 images by name; the first is the one to be lowest."""


@dataclasses.dataclass(frozen=True, eq=False)
class MatchTask:
    """Trains G(z) against a frozen teacher and a fake score.

    Attributes:
        teacher: the UNet of the teacher, on the devices of the run.
        start: the student at the start.
        config: the objective, and which weights to keep.
        strategy: the devices of the run.
        directory: gets `model.keras`.
        seed: of the noise, and of the order of pairs and real images.
        run: how to use the devices.
        pairs: for the regression.
        real: for the adversarial loss.
        quality: measures the EMA weights; None keeps the last ones.
        label: names the task.
    """

    teacher: UNet
    start: Student
    config: MatchConfig
    strategy: tf.distribute.Strategy
    directory: str
    seed: int
    run: RunConfig
    pairs: Pairs | None = None
    real: ImageSet | None = None
    quality: Quality | None = None
    label: str = "student"
    _generators: list[Generator] = dataclasses.field(default_factory=list)

    def examples(
        self, start: int, part: streams.Part = streams.WHOLE
    ) -> tf.data.Dataset:
        """Endless examples from a position on.

        Returns:
            A dataset of dicts: `z` float32, and `draws`, what `match_draws.draw`
            returns; with regression `pair_z` float32 and `pair_image` uint8; with an
            adversarial loss `real` uint8. With classes, `z`, `pair_z` and `real` are
            pairs whose second part is an int32 label.
        """
        streams_by_name: dict[str, Any] = {"random": self._random(start, part)}
        if self.pairs is not None:
            pairs = self.pairs.train(seed=self.seed, start=start, part=part)
            streams_by_name["pair"] = pairs
        if self.real is not None:
            streams_by_name["real"] = self._real(self.real, start, part)
        zipped = tf.data.Dataset.zip(streams_by_name)
        return streams.untuned(zipped.map(_flat))

    def _random(self, start: int, part: streams.Part) -> tf.data.Dataset:
        positions = tf.data.Dataset.range(start, tf.int64.max)
        shape, classes = self.start.image_shape, self.start.classes

        def draw(position):
            index = noise.MATCHING + position
            # No key of the draws is that of the noise, because equal keys give equal
            # bits.
            key = tf.stack([tf.constant(self.seed, tf.int64), index])
            return {
                "z": network_inputs.draw(self.seed, index, shape, classes),
                "draws": match_draws.draw(
                    key, shape, self.config, self.start.diffusion
                ),
            }

        return part.of(positions).map(draw, tf.data.AUTOTUNE)

    def _real(self, real: ImageSet, start: int, part: streams.Part) -> tf.data.Dataset:
        stream = part.of(real.shuffled(seed=self.seed, start=start))
        if not self.start.classes:
            return stream.map(lambda _, element: real.decode(element), tf.data.AUTOTUNE)
        label = real.checked_label(self.start.classes)
        return stream.map(
            lambda _, element: (real.decode(element), label(element)), tf.data.AUTOTUNE
        )

    def phases(self, state: TrainState, config: TrainConfig) -> list[Phase]:
        """The updates of the student, of its fake score and of a discriminator."""
        matching = MatchPhases(state, self.teacher, self.config, self._start())
        return matching.all(config.clip_norm)

    def _start(self) -> match_phases.Measures:
        """The measures of images of the student at the start."""
        inputs = network_inputs.batch(
            self.seed,
            noise.SELECTION + np.arange(_GRID),
            self.start.image_shape,
            self.start.classes,
        )
        return match_phases.measure(
            self.start, inputs, self.teacher, self.config, self.start.diffusion
        )

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Measures the EMA weights, keeps them or not, and draws a grid.

        Raises:
            DivergedError: if the FID is not finite.
        """
        step, generator = int(state.step.numpy()), self._generator_of(state.ema)
        score = None
        if self.quality is not None:
            samples = generator.from_seed(
                self.seed, noise.SELECTION, self.quality.samples
            )
            scores = dict(self.quality(samples))
            reporter.scalars(step, scores)
            name, score = next(iter(scores.items()))
            if not np.isfinite(score):
                raise DivergedError(f"The {name} became {score} at step {step}.")
        BestWeights(self.directory).keep(state, score)
        sheet = generator.from_seed(self.seed, noise.SELECTION, _GRID)
        reporter.grid(step, "samples", grids.grid(sheet))

    def _generator_of(self, student: Student) -> Generator:
        """The generator of the EMA weights, which is compiled once."""
        if not self._generators:
            # Only the chief evaluates, so it cannot share the work with other workers.
            alone = devices.has_other_workers(self.strategy)
            strategy = tf.distribute.get_strategy() if alone else self.strategy
            self._generators.append(
                Generator(
                    strategy,
                    student,
                    student.image_shape,
                    classes=student.classes,
                    run=self.run,
                )
            )
        return self._generators[0]

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged input file, if one exists."""
        if self.pairs is not None:
            self.pairs.diagnose()
        if self.real is not None:
            self.real.diagnose()


def _flat(example: dict) -> dict[str, Any]:
    flat = dict(example)
    flat.update(flat.pop("random"))
    if "pair" in flat:
        flat["pair_z"], flat["pair_image"] = flat.pop("pair")
    return flat
