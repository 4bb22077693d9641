"""One run of the whole road in this process, on a system as small as can be."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from tf_student import config, presets
from tf_student.evaluation.config import EvaluateConfig
from tf_student.pairs.config import PairsConfig
from tf_student.stations.demo import run_demo

RUN = config.RunConfig(device_batch=32)

_TRAIN = config.TrainConfig(
    batch_size=16, steps=6, learning_rate=1e-3, clip_norm=1.0, ema_decay=0.5
)
TINY = dataclasses.replace(
    presets.DIGITS,
    unet=config.UNetConfig(
        image_size=8,
        channels=1,
        base_width=8,
        width_multipliers=(1, 2),
        blocks_per_level=1,
        attention_resolutions=(4,),
        groups=4,
        dropout=0.0,
    ),
    teacher=_TRAIN,
    distill=config.DistillConfig("l1"),
    student=_TRAIN,
    sampler=config.SamplerConfig("uniform", 3),
    pairs=PairsConfig(pairs=60, held_out_pairs=20, shard_pairs=32),
    evaluate=EvaluateConfig(samples=50, repeats=1, extractor="digits"),
    log=config.LogConfig(log_every=2, checkpoint_every=4, evaluate_every=4),
)


@dataclasses.dataclass
class Road:
    """What the demo left, and what it returned."""

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


@pytest.fixture(scope="session")
def road(tmp_path_factory, cache):
    directory = tmp_path_factory.mktemp("road") / "demo"
    return Road(directory, run_demo(str(directory), TINY, RUN))


@pytest.fixture
def copied_pairs(road, tmp_path):
    """A copy of the pairs that a test may damage."""
    return Path(shutil.copytree(road.pairs, tmp_path / "damaged_pairs"))
