"""Pair sets of a teacher that needs no network."""

import dataclasses

import numpy as np
import pytest

from tf_student import config
from tf_student.pairs import records
from tf_student.pairs.config import PairsConfig
from tf_student.pairs.writer import write_pairs

SHAPE = (4, 4, 3)


@dataclasses.dataclass
class Sampler:
    """Rounds noise to an image; remembers what it was fed, and can fail on a call."""

    fail_at: int = -1
    fed: list = dataclasses.field(default_factory=list)

    def __call__(self, z):
        if len(self.fed) == self.fail_at:
            raise RuntimeError("killed")
        self.fed.append(z.copy())
        return np.clip(np.round(z * 40 + 128), 0, 255).astype(np.uint8)


@pytest.fixture
def make_sampler():
    return Sampler


@pytest.fixture
def plan():
    """The manifest of a set of 10 and 5 pairs, in shards of 4."""

    def make(teacher="a teacher", shape=SHAPE, sampler=None, run=None, **pairs):
        values = {"pairs": 10, "held_out_pairs": 5, "shard_pairs": 4, **pairs}
        return records.plan(
            teacher,
            shape,
            config.DiffusionConfig(),
            sampler or config.SamplerConfig(calls=3),
            PairsConfig(**values),
            run or config.RunConfig(),
        )

    return make


@pytest.fixture
def write(plan, tmp_path):
    """Writes a set and returns its directory."""

    def run(name="pairs", sample=None, batch=3, **changes):
        directory = str(tmp_path / name)
        write_pairs(directory, plan(**changes), sample or Sampler(), batch=batch)
        return directory

    return run
