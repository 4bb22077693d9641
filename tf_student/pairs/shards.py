"""The shards of a pair set: the files that hold its pairs."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from tf_student.diffusion import noise
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check_types

TRAIN, HELD_OUT = "train", "held_out"
# The noise index of the first pair of each split.
FIRST_INDEX = {TRAIN: noise.TRAINING, HELD_OUT: noise.HELD_OUT}


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of consecutive pairs.

    Attributes:
        name: file name.
        split: `train` or `held_out`.
        first_index: noise index of the first pair.
        pairs: number of pairs.
        sha256: digest of the file; empty until the file is written.
        size: bytes of the file; 0 until the file is written.
    """

    name: str
    split: str
    first_index: int
    pairs: int
    sha256: str = ""
    size: int = 0

    @property
    def written(self) -> bool:
        """Whether the file was written completely."""
        return bool(self.sha256)


def plan(pairs: PairsConfig) -> tuple[Shard, ...]:
    """The shards of a set, of which no file exists yet."""
    shards = []
    for split, count in ((TRAIN, pairs.pairs), (HELD_OUT, pairs.held_out_pairs)):
        total = -(-count // pairs.shard_pairs)
        for number in range(total):
            first = number * pairs.shard_pairs
            shards.append(
                Shard(
                    name=f"pairs-{split}.tfrecord-{number:05d}-of-{total:05d}",
                    split=split,
                    first_index=FIRST_INDEX[split] + first,
                    pairs=min(pairs.shard_pairs, count - first),
                )
            )
    return tuple(shards)


def parse(values: Any, planned: Sequence[Shard]) -> Iterator[Shard]:
    """Yields the shards of JSON values, which anything may have written.

    Files are opened, replaced and removed by their names, so the names, splits, first
    indices and counts must be those of the plan.

    Raises:
        InputError: if they are others.
    """
    if not isinstance(values, list) or len(values) != len(planned):
        raise InputError(f"its `shards` must be a list of {len(planned)} shards.")
    for value, plan in zip(values, planned, strict=True):
        written = {name: value.get(name) for name in ("sha256", "size")}
        shard = Shard(**{**vars(plan), **written})
        check_types(shard)
        if value != vars(shard):
            raise InputError(
                f"a shard must be {plan.name} with the indices from "
                f"{plan.first_index} to {plan.first_index + plan.pairs - 1}."
            )
        yield shard
