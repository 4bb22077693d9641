"""Options of the commands `evaluate` and `verify-teacher`."""

import dataclasses

from tf_student.runtime.options import MAX_SEED, check, option, refuse


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How image quality is measured.

    Example:

    >>> EvaluateConfig(samples=10_000, extractor="digits").repeats
    3
    """

    samples: int = option(
        50_000, "Generated images in each measurement.", minimum=2, maximum=10**8
    )
    repeats: int = option(
        3,
        "Number of measurements, each on its own range of seeds.",
        minimum=1,
        maximum=1000,
    )
    extractor: str = option(
        "inception",
        "Feature extractor: `inception` (TF-GAN's), `digits`, or the path of a "
        "SavedModel, of a frozen graph (.pb) or of "
        "pt_inception-2015-12-05-6726825d.pth.",
        path=True,
    )
    resize: str = option(
        "tf1",
        "How images are resized to 299x299 for a .pth extractor: `tf1` as in the "
        "original FID code and torch-fidelity, `pytorch_fid` as in pytorch-fid.",
        choices=("tf1", "pytorch_fid"),
        advanced=True,
    )
    extractor_batch: int = option(
        64,
        "Images that the extractor processes at once on each device.",
        minimum=1,
        maximum=2**16,
        free=True,
        advanced=True,
    )
    max_real: int = option(
        0,
        "Use at most this many real images; 0 uses all of them.",
        minimum=0,
        maximum=10**9,
        advanced=True,
    )
    same_noise: int = option(
        1024,
        "Pairs of images from the same noise to compare; 0 compares none.",
        minimum=0,
        maximum=10**6,
        advanced=True,
    )
    dpm_calls: int = option(
        0,
        "Also measure the teacher with DPM-Solver++ (2M, steps uniform in log-SNR) and "
        "this many network calls, usually its best sampler; 0 measures only the "
        "sampler of the pairs.",
        minimum=0,
        maximum=10**6,
    )
    fid_infinity: bool = option(
        False,
        "Also extrapolate FID to an infinite number of images (arXiv 1911.07023).",
    )
    cache_features: bool = option(
        True,
        "Cache features in the work directory, keyed by the content of their images.",
        advanced=True,
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Two sources of images to compare, instead of the teacher and the student."""

    source: str = option(
        "",
        "Source of the images to measure: a SavedModel, the directory of a teacher or "
        "a student, a folder of images, an .npz file of images, or a TFDS name. "
        "Append `:name` to the last two to choose an array or a split.",
        path=True,
    )
    against: str = option(
        "",
        "Source of the images to measure --source against, in the same forms, or an "
        ".npz file of statistics (mu, sigma). The default is the images of --dataset.",
        path=True,
    )

    def __post_init__(self):
        check(self)
        if self.against and not self.source:
            refuse("source", "be given with `against`", self.source)


@dataclasses.dataclass(frozen=True)
class VerifyConfig:
    """How a converted teacher is inspected.

    Example:

    >>> VerifyConfig(count=4).real_images
    64
    """

    count: int = option(16, "Images to sample.", minimum=1, maximum=2**16)
    seed: int = option(0, "Seed of the noise.", minimum=0, maximum=MAX_SEED)
    real_images: int = option(
        64,
        "Real images of --dataset on which the noise-prediction loss is measured.",
        minimum=1,
        maximum=10**7,
    )

    def __post_init__(self):
        check(self)
