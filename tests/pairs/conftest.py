"""Pair sets of a teacher that needs no network."""

import dataclasses

import numpy as np
import pytest

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.pairs import manifests
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.writer import write_pairs
from tf_student.runtime.run_config import RunConfig

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
        return manifests.plan(
            teacher,
            shape,
            DiffusionConfig(),
            sampler or SamplerConfig(calls=3),
            PairsConfig(**values),
            run or RunConfig(),
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
