"""The smallest system that has every part, and what its demo writes."""

import dataclasses
from pathlib import Path

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.presets import systems
from tf_student.runtime.run_config import RunConfig
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig

RUN = RunConfig(device_batch=32)

_TRAIN = TrainConfig(
    batch_size=16, steps=6, learning_rate=1e-3, clip_norm=1.0, ema_decay=0.5
)
TINY = dataclasses.replace(
    systems.DIGITS,
    unet=UNetConfig(
        image_size=8,
        channels=1,
        base_width=8,
        width_multipliers=(1,),
        blocks_per_level=1,
        attention_resolutions=(),
        groups=4,
        dropout=0.0,
    ),
    teacher=_TRAIN,
    distill=DistillConfig("l1"),
    student=_TRAIN,
    match=MatchConfig(fake_learning_rate=1e-3, regression=0.05),
    matching=dataclasses.replace(_TRAIN, learning_rate=1e-4),
    sampler=SamplerConfig("uniform", 3),
    pairs=PairsConfig(pairs=60, held_out_pairs=20, shard_pairs=32),
    evaluate=EvaluateConfig(samples=50, repeats=1, extractor="digits"),
    log=LogConfig(log_every=2, checkpoint_every=4, evaluate_every=4),
)


@dataclasses.dataclass
class DemoRun:
    """What the demo wrote, and what it returned."""

    directory: Path
    evaluation: object

    def __truediv__(self, name):
        return str(self.directory / name)

    @property
    def teacher(self):
        return self / "teacher"

    @property
    def pairs(self):
        return self / "pairs"

    @property
    def student(self):
        return self / "student"

    @property
    def matched(self):
        return self / "matched"
