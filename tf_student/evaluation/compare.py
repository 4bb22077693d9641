"""The command `evaluate --source`: any two sources of images."""

import functools
from collections.abc import Callable

from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import extractors, named_sources, same_noise
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.measurement import Measurement
from tf_student.evaluation.result import Evaluation
from tf_student.evaluation.same_noise import SameNoise
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig


def compare(
    source: str,
    against: str = "",
    directory: str | None = None,
    *,
    real: DataConfig | str = DataConfig(),
    config: EvaluateConfig = EvaluateConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Evaluation:
    """Measures one source of images against another, or against real images.

    Args:
        source: a SavedModel from noise to images, the run directory of a network, a
            folder of images, an `.npz` file, or a TFDS name such as `cifar10:test`.
        against: a source, or an `.npz` file of `mu` and `sigma`; empty for `real`.
        directory: gets the files of `evaluate`; None writes and caches nothing.
        real: the real images, or the name of their dataset.
        config: the metrics, the extractor and the numbers of images.
        sampler: solver and steps of a teacher.
        run: how to use the devices.
        progress: whether to draw progress bars on stderr.

    Returns:
        The figures, of the network `source`; `print` shows them as a table.

    Raises:
        InputError: if a source cannot be read, or sizes of images differ.

    Example:

    >>> config = EvaluateConfig(samples=100, repeats=1, extractor="digits")
    >>> compare("runs/digits/student", "digits", config=config).rows()[0]
    ('', 'source')
    """
    strategy = devices.open_devices(run)
    opener = named_sources.Opener(strategy, sampler, run, _data_dir(real))
    measured = opener.open(source, option="source")
    reference = _reference(against, real, opener, measured.shape, config.max_real)
    # Loaded only if a source has images: statistics need no extractor.
    extractor = functools.partial(extractors.from_config, config, strategy)
    measurement = Measurement(directory, config, extractor, bars=progress)
    generate = _same_noise(reference, measured, config.same_noise)
    return measurement.run({"source": measured}, reference, generate)


def _data_dir(real: DataConfig | str) -> str:
    return "" if isinstance(real, str) else real.data_dir


def _reference(
    against: str,
    real: DataConfig | str,
    opener: named_sources.Opener,
    shape: tuple[int, int, int] | None,
    max_real: int,
) -> Source:
    """The source that `against` names, or the real images."""
    if against:
        return opener.open(against, option="against", shape=shape)
    return named_sources.open_real(real, shape, max_real)


def _same_noise(a: Source, b: Source, count: int) -> Callable[[], SameNoise] | None:
    """Generates images of the same noise if both are generators of the same kind."""
    alike = (a.shape, a.classes) == (b.shape, b.classes)
    if a.generate and b.generate and alike:
        return functools.partial(same_noise.generate, a, b, count)
    return None
