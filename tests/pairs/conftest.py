"""Pair sets of a teacher that needs no network."""

import dataclasses

import numpy as np
import pytest

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.pairs import manifests
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.pairs.writer import write_pairs
from tf_student.runtime.run_config import RunConfig

SHAPE = (4, 4, 3)


@dataclasses.dataclass
class Sampler:
    """Rounds noise to an image; records its inputs, and fails on call `fail_at`."""

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


@pytest.fixture
def original(tmp_path):
    """Arrays as the original project wrote them: 4 and 3 training, 2 held-out pairs."""
    rng = np.random.default_rng(0)
    for name, count in {"train_0": 4, "train_1": 3, "test": 2}.items():
        z = rng.normal(size=(count, 4, 4, 3)).astype(np.float16)
        images = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
        np.save(tmp_path / f"x_{name}.npy", z)
        np.save(tmp_path / f"y_{name}.npy", images)
    return tmp_path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A set of 41 pairs in 21 shards, more than a window has, and its noise."""
    directory, sampler = str(tmp_path_factory.mktemp("many")), Sampler()
    manifest = manifests.plan(
        "a teacher",
        SHAPE,
        DiffusionConfig(),
        SamplerConfig(),
        PairsConfig(pairs=41, held_out_pairs=5, shard_pairs=2),
        RunConfig(),
    )
    write_pairs(directory, manifest, sampler, batch=2)
    return PairSet(directory), np.concatenate(sampler.fed)
