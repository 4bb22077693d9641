"""The source of converted weights, as a config."""

import dataclasses

from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class ConvertConfig:
    """The source of converted weights."""

    source: str = option("", "The published weights.")
    weights: str = option(
        "",
        "Which of several networks in the source: a key, a folder or a variant; empty "
        "for the EMA weights.",
        added=True,
    )

    def __post_init__(self):
        check(self)
