"""What is measured, and how."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How quality is measured."""

    samples: int = option(50_000, "Generated images of one measurement.", minimum=2)
    repeats: int = option(3, "Measurements, each on its own range of seeds.", minimum=1)
    extractor: str = option(
        "inception",
        "Features: `inception` (TF-GAN's), `digits`, or the path of a SavedModel, of a "
        "frozen graph (.pb) or of pt_inception-2015-12-05-6726825d.pth.",
    )
    resize: str = option(
        "tf1",
        "How images come to 299x299 before a .pth: as in the original and "
        "torch-fidelity, or as in pytorch-fid.",
        choices=("tf1", "pytorch_fid"),
    )
    extractor_batch: int = option(
        64, "Images that one device's extractor sees at once.", minimum=1, free=True
    )
    max_real: int = option(0, "Use the first so many real images; 0: all.", minimum=0)
    same_noise: int = option(
        1024, "Pairs of images of the same noise to compare; 0: none.", minimum=0
    )
    fid_infinity: bool = option(
        False, "Also extrapolate FID to endless images (arXiv 1911.07023)."
    )
    cache_features: bool = option(
        True, "Keep features below the work directory, by the content of their images."
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Two sets of images to compare, instead of teacher, student and real images."""

    source: str = option(
        "",
        "Measure this: a SavedModel, a teacher's or student's directory, a folder of "
        "images, an .npz of images, or a TFDS name; `:name` behind the last two "
        "names an array or a split.",
    )
    against: str = option(
        "",
        "Measure --source against this: any of the same, or an .npz of statistics (mu, "
        "sigma); by default the images of --dataset.",
    )

    def __post_init__(self):
        check(self)
        if self.against and not self.source:
            refuse("source", "be given with `against`", self.source)


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
