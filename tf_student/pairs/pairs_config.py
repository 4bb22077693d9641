"""What pairs are made, and by whom."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class PairsConfig:
    """The set of (noise, image) pairs."""

    pairs: int = option(1_024_000, "Training pairs.", minimum=1)
    held_out_pairs: int = option(10_240, "Pairs kept out of training.", minimum=1)
    pairs_seed: int = option(0, "Seed of the noise.", minimum=0)
    shard_pairs: int = option(10_240, "Pairs of a file.", minimum=1)
    encoding: str = option("raw", "How images are stored.", choices=("raw", "png"))
    store_noise: bool = option(False, "Store float32 noise beside each image.")

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class EngineConfig:
    """Who makes the pairs; the bytes are the same whoever does."""

    engine: str = option(
        "local",
        "This process, or Apache Beam with the runner of --beam_options.",
        choices=("local", "beam"),
    )
    worker_index: int = option(
        0,
        "Which of --num_workers this process is, from 0; by default what Slurm's array "
        "or Kubernetes' indexed job says.",
        minimum=0,
    )
    num_workers: int = option(1, "Processes that share the shards.", minimum=1)
    beam_options: str = option(
        "", "Options of Beam's pipeline, by commas: runner=FlinkRunner,.. ."
    )
    import_from: str = option(
        "",
        "Take pairs that were made elsewhere: a folder of x_train_*.npy and "
        "y_train_*.npy, or of TFDS with features noise and image.",
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
    """How a pair set that is there is looked at."""

    check: bool = option(False, "Look for missing and damaged shards, and make none.")
    repair: bool = option(False, "Make missing and damaged shards again.")
    check_images: int = option(
        32, "Pairs that the teacher makes again, to compare.", minimum=0
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class OnlineConfig:
    """Whether a student is trained on stored pairs."""

    online: bool = option(
        False,
        "Let the teacher generate each pair on demand, and store none; they are those "
        "that `pairs` would store with the same flags.",
    )

    def __post_init__(self):
        check(self)
