"""The command `evaluate --source`: any two sources of images."""

import functools

from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import extractors, image_sources
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.measurement import Measurement
from tf_student.evaluation.result import Evaluation
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
        source: a SavedModel from noise to uint8 images, a teacher's or a student's
            directory, a folder of images, an `.npz` of images, or a TFDS name such as
            `cifar10:test`.
        against: any of these, or an `.npz` of statistics (`mu`, `sigma`); empty for
            the images of `real`.
        directory: gets the same files as from `evaluate`; None writes nothing.
        real: the real images, or the name of their dataset.
        config: the metrics, the extractor, and how many images.
        sampler: of a teacher.
        run: how to use the devices.
        progress: whether to draw progress bars on stderr.

    Raises:
        InputError: if a source cannot be read, or the two do not fit each other.

    Example:

    >>> print(compare("runs/digits/export/1", config=digits_metrics))
    """
    strategy = devices.open_devices(run)
    data = DataConfig(real) if isinstance(real, str) else real
    open_source = functools.partial(
        image_sources.open_source,
        strategy=strategy,
        sampler=sampler,
        run=run,
        data_dir=data.data_dir,
    )
    contender = open_source(source, option="source")
    if against:
        reference = open_source(against, option="against", shape=contender.shape)
    else:
        image_set = datasets.load(data, contender.shape)
        reference = image_sources.from_images(image_set, config.max_real)
    same_noise = None
    generators = contender.generate and reference.generate
    if generators and contender.shape == reference.shape:
        same_noise = functools.partial(
            image_sources.same_noise, reference, contender, config.same_noise
        )
    extractor = functools.partial(
        extractors.load,
        config.extractor,
        strategy,
        device_batch=config.extractor_batch,
        resize=config.resize,
    )
    measurement = Measurement(directory, config, extractor, bars=progress)
    return measurement.run({"source": contender}, reference, same_noise)
