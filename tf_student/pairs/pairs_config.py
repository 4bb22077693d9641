"""Options of pair sets: what they contain, who generates them, how they are checked."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import MAX_SEED, check, option, refuse

# Shards of a split: their numbers have five digits in the names of their files.
_MAX_SHARDS = 99_999


@dataclasses.dataclass(frozen=True)
class PairsConfig:
    """Number, seed and encoding of (noise, image) pairs.

    Example:

    >>> PairsConfig(pairs=2000, held_out_pairs=200).encoding
    'raw'
    """

    pairs: int = option(
        1_024_000, "Number of training pairs.", minimum=1, maximum=10**10
    )
    held_out_pairs: int = option(
        10_240,
        "Number of held-out pairs, which are never trained on.",
        minimum=1,
        maximum=10**9,
    )
    pairs_seed: int = option(0, "Seed of the noise.", minimum=0, maximum=MAX_SEED)
    shard_pairs: int = option(
        10_240, "Number of pairs in a shard.", minimum=1, maximum=10**7, advanced=True
    )
    encoding: str = option(
        "raw",
        "How images are stored; png is lossless.",
        choices=("raw", "png"),
        advanced=True,
    )
    store_noise: bool = option(
        False,
        "Store the noise as float32 beside each image, for other programs.",
        advanced=True,
    )

    def __post_init__(self):
        check(self)
        if max(self.pairs, self.held_out_pairs) > _MAX_SHARDS * self.shard_pairs:
            expected = f"be so large that at most {_MAX_SHARDS:,} shards hold the pairs"
            refuse("shard_pairs", expected, self.shard_pairs)


@dataclasses.dataclass(frozen=True)
class EngineConfig:
    """Which processes generate the pairs; the bytes of the set do not depend on it.

    Example:

    >>> EngineConfig(worker_index=0, num_workers=2).engine
    'local'
    """

    engine: str = option(
        "local",
        "local: this process; beam: Apache Beam with the runner of --beam_options.",
        choices=("local", "beam"),
    )
    worker_index: int = option(
        0,
        "Index of this process among --num_workers, from 0. The default is read from "
        "a Slurm job array or an indexed job of Kubernetes.",
        minimum=0,
        maximum=10**6,
    )
    num_workers: int = option(
        1, "Number of processes that share the shards.", minimum=1, maximum=10**6
    )
    beam_options: str = option(
        "",
        "Comma-separated options of the Beam pipeline: runner=FlinkRunner,...",
        advanced=True,
    )
    import_from: str = option(
        "",
        "Import existing pairs from a folder of x_train_*.npy and y_train_*.npy, or "
        "from a TFDS folder with the features noise and image.",
        path=True,
    )

    def __post_init__(self):
        check(self)
        if self.worker_index >= self.num_workers:
            raise InputError(
                "`worker_index` must be below `num_workers`. Received: worker_index="
                f"{self.worker_index}, num_workers={self.num_workers}."
            )


@dataclasses.dataclass(frozen=True)
class CheckConfig:
    """How an existing pair set is checked."""

    check: bool = option(
        False, "Look for missing and damaged shards, and change nothing."
    )
    repair: bool = option(False, "Re-generate missing and damaged shards.")
    check_images: int = option(
        32,
        "Number of images that the teacher re-generates to compare.",
        minimum=0,
        maximum=10**6,
        advanced=True,
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class OnlineConfig:
    """Whether a student is trained on pairs that are generated on demand."""

    online: bool = option(
        False,
        "Let the teacher generate each pair on demand, and store none. The pairs are "
        "those that `pairs` stores with the same flags.",
    )

    def __post_init__(self):
        check(self)
