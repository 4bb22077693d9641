"""The config of real images."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which real images to read.

    Example:

    >>> DataConfig("cifar10", split="test").flip
    True
    """

    dataset: str = option(
        "digits",
        "Real images: `digits` (embedded), a TFDS name such as cifar10, a folder that "
        "TFDS prepared, a folder of image files, or an .npz file of uint8 images.",
        path=True,
    )
    split: str = option(
        "train",
        "Split of a TFDS dataset, such as train[:50%], or name of an array in an .npz "
        "file.",
    )
    data_dir: str = option(
        "", "Data directory of TFDS; empty for its default.", path=True
    )
    flip: bool = option(True, "Flip training images horizontally at random.")

    def __post_init__(self) -> None:
        check(self)
        if not self.dataset:
            refuse("dataset", "be a name or a path", self.dataset)
