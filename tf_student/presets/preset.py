"""What a preset consists of."""

import dataclasses

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """The configs of all commands for one dataset.

    Attributes:
        unet: the network of teacher and student.
        data: the real images.
        teacher: the training of the teacher.
        sampler: the sampler of the teacher.
        pairs: the set of pairs.
        distill: the loss of the student.
        student: the training of the student.
        match: the objective of distribution matching.
        matching: the training of the matched student.
        diffusion: the forward process.
        evaluate: the evaluation.
        log: how often training reports and saves.

    Example:

    >>> import dataclasses
    >>> sampler = SamplerConfig(calls=5)
    >>> preset = dataclasses.replace(get_preset("digits"), sampler=sampler)
    >>> preset.unet.image_shape
    (8, 8, 1)
    """

    unet: UNetConfig
    data: DataConfig
    teacher: TrainConfig
    sampler: SamplerConfig
    pairs: PairsConfig
    distill: DistillConfig
    student: TrainConfig
    match: MatchConfig
    matching: TrainConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    log: LogConfig = LogConfig()
