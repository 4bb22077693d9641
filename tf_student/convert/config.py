"""What is converted, and looked at; no TensorFlow here, as in `tf_student.config`."""

import dataclasses

from tf_student.options import check, option


@dataclasses.dataclass(frozen=True)
class ConvertConfig:
    """Where converted weights come from."""

    source: str = option("", "The published weights.")
    network: str = option(
        "teacher", "What they are.", choices=("teacher", "student"), free=True
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class VerifyConfig:
    """How a converted teacher is looked at."""

    count: int = option(16, "Images to sample.", minimum=1)
    seed: int = option(0, "Seed of the noise.", minimum=0)
    real_images: int = option(
        64, "Real images, of --dataset, whose noise is predicted.", minimum=1
    )

    def __post_init__(self):
        check(self)
