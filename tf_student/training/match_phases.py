"""The phases of a step of distribution matching."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tf_student.data import images as pixels
from tf_student.diffusion import losses, matching, predictions, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.diffusion.inputs import Inputs, split
from tf_student.models.unet import UNet
from tf_student.runtime.errors import DivergedError
from tf_student.training import match_draws
from tf_student.training.match_config import MatchConfig
from tf_student.training.match_draws import Draw
from tf_student.training.phases import Phase, PhaseLoss
from tf_student.training.state import TrainState

_REMEDY = "Raise fake_learning_rate or fake_updates, or lower learning_rate."

FAKE = "fake"
DISCRIMINATOR = "discriminator"

# Far outside of what healthy runs show: on digits both values change by a tenth, and if
# the fake score is too slow, the teacher's error doubles within twenty steps.
_BEHIND, _COLLAPSED = 1.75, 0.25

Carried = Mapping[str, tf.Tensor]
# A part of what `MatchTask.examples` gives.
Batch = Mapping[str, Any]


class Measures(NamedTuple):
    """Means over images that show whether matching goes well.

    Attributes:
        teacher_error: mean squared error of the noise that the teacher predicts in the
            images; it rises for images that the teacher finds unlikely.
        spread: root mean square difference of two images.
    """

    teacher_error: float
    spread: float


@dataclasses.dataclass(frozen=True, eq=False)
class MatchPhases:
    """The losses of the student, of its fake score and of a discriminator.

    The student comes first, so that the other phases get the images that it generated.

    Attributes:
        state: the student, with the helpers `fake` and perhaps `discriminator`.
        teacher: the frozen UNet.
        config: the objective and its weights.
        start: the measures of the images of the student at the start.
    """

    state: TrainState
    teacher: UNet
    config: MatchConfig
    start: Measures

    def all(self, clip_norm: float) -> list[Phase]:
        """All phases, in their order."""
        fake = self.state.helpers[FAKE]
        phases = [
            Phase(self.state.learner, self.student_loss, clip_norm, "", self.check)
        ]
        for update in range(self.config.fake_updates):
            loss = functools.partial(self.fake_loss, update=update)
            phases.append(Phase(fake, loss, self.config.fake_clip_norm, FAKE))
        if self.config.adversarial:
            learner = self.state.helpers[DISCRIMINATOR]
            phases.append(Phase(learner, self.discriminator_loss, 0.0, DISCRIMINATOR))
        return phases

    def student_loss(
        self, batch: Batch, carried: Carried, seed: tf.Tensor
    ) -> PhaseLoss:
        """The objective on generated images, at a random time of each."""
        x = self.state.model(batch["z"], training=True, seed=seed)
        _, labels = split(batch["z"])
        noised = _noised(x, batch["draws"]["student"], self._diffusion)
        of_teacher, features = self.teacher.with_features(
            noised.x_t, noised.t, labels, training=True, seed=seed
        )
        of_fake = self._fake(noised.x_t, noised.t, labels, seed)
        real, fake = noised.estimate(of_teacher), noised.estimate(of_fake)
        if self.config.objective == "sid":
            total = matching.sid_loss(x, real, fake, alpha=self.config.alpha)
        else:
            total = matching.dmd_loss(x, real, fake)
        metrics = {
            "score_gap": matching.score_gap(x, real, fake),
            "teacher_error": noised.error(of_teacher),
            "fake_error": noised.error(of_fake),
        }
        # A single image has no other one to differ from.
        if x.shape[0] != 1:
            metrics["spread"] = _spread(x)
        if self.config.regression:
            metrics["regression"] = self._regression(batch, seed)
            total += self.config.regression * metrics["regression"]
        if self.config.adversarial:
            logits = self.state.helpers[DISCRIMINATOR].network(features)
            metrics["adversarial"] = tf.nn.softplus(-logits)
            total += self.config.adversarial * metrics["adversarial"]
        return PhaseLoss(total, metrics, {"x": tf.stop_gradient(x)})

    def fake_loss(
        self, batch: Batch, carried: Carried, seed: tf.Tensor, *, update: int
    ) -> PhaseLoss:
        """The noise-prediction loss of the fake score on generated images."""
        x, draws = carried["x"], batch["draws"]
        _, labels = split(batch["z"])
        if update:
            z = draws[match_draws.fake_noise(update)]
            inputs = z if labels is None else (z, labels)
            x = tf.stop_gradient(self.state.model(inputs, training=True, seed=seed))
        t, eps = draws[match_draws.fake(update)]
        return PhaseLoss(
            losses.noise_loss(
                lambda x, t: self._fake(x, t, labels, seed),
                x,
                eps,
                t,
                alpha_bars=schedules.alpha_bars(self._diffusion),
                prediction=self._diffusion.prediction,
            )
        )

    def discriminator_loss(
        self, batch: Batch, carried: Carried, seed: tf.Tensor
    ) -> PhaseLoss:
        """The logistic loss on features of generated and of real images with noise."""
        draws = batch["draws"]
        _, labels = split(batch["z"])
        of_real, real_labels = split(batch["real"])
        real = self._logits(pixels.to_float(of_real), real_labels, draws["real"])
        fake = self._logits(carried["x"], labels, draws["generated"])
        right = (tf.cast(real > 0, tf.float32) + tf.cast(fake < 0, tf.float32)) / 2
        return PhaseLoss(
            tf.nn.softplus(-real) + tf.nn.softplus(fake), {"accuracy": right}
        )

    def check(self, values: Mapping[str, float]) -> None:
        """Raises a `DivergedError` if the means show that matching has failed."""
        start = self.start
        spread = values.get("spread", start.spread)
        now = Measures(values["teacher_error"], spread)
        if now.teacher_error > _BEHIND * start.teacher_error:
            raise DivergedError(
                "The fake score has fallen behind the student: the teacher's error in "
                f"predicting the noise in generated images is {now.teacher_error:.4g}, "
                f"and was {start.teacher_error:.4g} at the start. {_REMEDY}"
            )
        if now.spread < _COLLAPSED * start.spread:
            raise DivergedError(
                "The student's images have become too similar: their spread is "
                f"{now.spread:.4g}, and was {start.spread:.4g} at the start. {_REMEDY}"
            )

    @property
    def _diffusion(self) -> DiffusionConfig:
        return self.state.model.diffusion

    def _fake(
        self, x: tf.Tensor, t: tf.Tensor, labels: tf.Tensor | None, seed: tf.Tensor
    ) -> tf.Tensor:
        fake = self.state.helpers[FAKE].network
        return fake(x, t, labels, training=True, seed=seed)

    def _logits(self, x: tf.Tensor, labels: tf.Tensor | None, draw: Draw) -> tf.Tensor:
        """The discriminator's logits for images with noise."""
        x_t = _noised(x, draw, self._diffusion).x_t
        discriminator = self.state.helpers[DISCRIMINATOR].network
        return discriminator(self.teacher.encode(x_t, draw.t, labels))

    def _regression(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        """The mean absolute difference to the images of the pairs, `[examples]`."""
        x = self.state.model(batch["pair_z"], training=True, seed=seed)
        error = tf.abs(x - pixels.to_float(batch["pair_image"]))
        return tf.reduce_mean(error, axis=[1, 2, 3])


class _Noised(NamedTuple):
    """Images with noise: x_t = sqrt(a) x + sqrt(1 - a) eps at times t."""

    x_t: tf.Tensor
    t: tf.Tensor
    eps: tf.Tensor
    alpha_bar: tf.Tensor
    prediction: str

    def estimate(self, output: tf.Tensor) -> tf.Tensor:
        """The images that a network's output stands for."""
        return self._read(output)[0]

    def error(self, output: tf.Tensor) -> tf.Tensor:
        """The mean squared error of the predicted noise, `[examples]`."""
        error = self.eps - self._read(output)[1]
        return tf.reduce_mean(tf.square(error), axis=[1, 2, 3])

    def _read(self, output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return predictions.x_0_and_eps(
            self.x_t, output, alpha_bar=self.alpha_bar, prediction=self.prediction
        )


def measure(
    student: Callable[[Inputs], tf.Tensor],
    inputs: Inputs,
    teacher: UNet,
    config: MatchConfig,
    diffusion: DiffusionConfig,
) -> Measures:
    """Measures a student's images as the steps do.

    Args:
        student: the student.
        inputs: of the student.
        teacher: the frozen UNet.
        config: the times of the student's loss.
        diffusion: the teacher's process.
    """
    x, (_, labels) = student(inputs), split(inputs)
    key, shape = tf.constant([0, 0]), tuple(x.shape[1:])
    draws = match_draws.draw(key, shape, config, diffusion, count=(len(x),))
    noised = _noised(x, draws["student"], diffusion)
    error = noised.error(teacher(noised.x_t, noised.t, labels))
    return Measures(*(float(tf.reduce_mean(v)) for v in (error, _spread(x))))


def _noised(x: tf.Tensor, draw: Draw, diffusion: DiffusionConfig) -> _Noised:
    (t, eps), alpha_bars = draw, schedules.alpha_bars(diffusion)
    alpha_bar = tf.gather(tf.constant(alpha_bars, tf.float32), t)[:, None, None, None]
    x_t = tf.sqrt(alpha_bar) * x + tf.sqrt(1.0 - alpha_bar) * eps
    return _Noised(x_t, t, eps, alpha_bar, diffusion.prediction)


def _spread(x: tf.Tensor) -> tf.Tensor:
    """The root mean square difference of each image to another one, `[examples]`."""
    other = tf.roll(x, 1, axis=0)
    return tf.sqrt(tf.reduce_mean(tf.square(x - other), axis=[1, 2, 3]))
