"""FID and the shares of classes of generated images, for choosing weights."""

import functools

import numpy as np

from tf_student.data.data_config import DataConfig
from tf_student.evaluation import extractors, metrics, named_sources
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.feature_reader import FeatureReader
from tf_student.evaluation.image_sources import Source
from tf_student.runtime import devices

# Extractors with more logits, such as Inception, are not classifiers of these images.
_MOST_CLASSES = 100


class ImageQuality:
    """Measures images during training, such as those of `match_distribution`.

    The features of the real images, brought to the size of the generated ones, are
    computed once, at the first call. `prepare` opens the extractor and the real images
    before training.

    Args:
        real: the real images, or the name of their dataset.
        samples: number of generated images of a measurement.
        config: the extractor, and how many real images to use.

    Example:

    >>> config = EvaluateConfig(extractor="digits")
    >>> quality = ImageQuality("digits", samples=64, config=config)
    >>> sorted(quality(student.generate(64)))
    ['FID', 'smallest_class']
    """

    def __init__(
        self,
        real: DataConfig | str,
        *,
        samples: int = 5000,
        config: EvaluateConfig = EvaluateConfig(),
    ):
        self.samples = samples
        self._real, self._config = real, config
        self._opened: tuple[FeatureReader, Source] | None = None
        self._reference: metrics.Reference | None = None

    def prepare(self, shape: tuple[int, int, int]) -> None:
        """Opens the extractor and the real images, unless they are open.

        Args:
            shape: `(height, width, channels)` of the images to be measured.

        Raises:
            InputError: if the extractor or the real images cannot be read.
        """
        self._open(shape)

    def __call__(self, images: np.ndarray) -> dict[str, float]:
        """Scores of uint8 images `[n, height, width, channels]`.

        Returns:
            `FID`, and for an extractor that classifies, `smallest_class`: the share of
            the rarest class, which falls when images of a class disappear.

        Raises:
            InputError: if the extractor or the real images cannot be read.
        """
        height, width, channels = images.shape[1:]
        reader, real = self._open((height, width, channels))
        if self._reference is None:
            assert real.count is not None
            self._reference = metrics.Reference(
                reader.read(real, "real", 0, real.count)
            )
        features = reader.extract([images], "generated", "generated", len(images))
        scores = {"FID": self._reference.frechet.distance(features.statistics)}
        classes = features.logits.shape[1]
        if classes <= _MOST_CLASSES:
            counts = np.bincount(features.logits.argmax(axis=1), minlength=classes)
            scores["smallest_class"] = float(counts.min() / len(images))
        return scores

    def _open(self, shape: tuple[int, int, int]) -> tuple[FeatureReader, Source]:
        """The extractor, and the real images in the shape of the generated ones."""
        if self._opened is None:
            real = named_sources.open_real(self._real, shape, self._config.max_real)
            strategy = devices.make_strategy()
            reader = FeatureReader(
                functools.partial(extractors.from_config, self._config, strategy)
            )
            reader.open()
            self._opened = reader, real
        return self._opened
