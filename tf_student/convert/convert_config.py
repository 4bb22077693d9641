"""The source of converted weights, as a config."""

import dataclasses

from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class ConvertConfig:
    """The source of converted weights."""

    source: str = option("", "The published weights.")

    def __post_init__(self):
        check(self)
