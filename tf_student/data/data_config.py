"""Which real images to read, as a config."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Real images."""

    dataset: str = option(
        "digits",
        "`digits` (embedded), a TFDS name such as cifar10, a folder of images, or an "
        ".npz file of uint8 images.",
    )
    split: str = option("train", "Split of a TFDS dataset, or array of an .npz file.")
    data_dir: str = option("", "Where TFDS keeps its data; empty for its default.")
    flip: bool = option(True, "Mirror images at random while training.")

    def __post_init__(self):
        check(self)
        if not self.dataset:
            refuse("dataset", "be a name or a path", self.dataset)
