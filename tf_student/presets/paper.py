"""The presets of the paper, by Luhman & Luhman (arXiv 2101.02388).

The values for students are from sec. 4 and app. A of the paper, those for samplers from
DDIM (arXiv 2010.02502, app. D), those for teachers from DDPM (arXiv 2006.11239,
app. B), and those for matching from the training script of SiD (arXiv 2404.04057): for
CIFAR-10, and for CelebA those of FFHQ 64x64.
"""

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.presets.preset import Preset
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import DistillConfig, TrainConfig


def _steps(epochs: int, batch_size: int) -> int:
    """Optimizer steps for a number of epochs over 1,024,000 pairs."""
    return epochs * 1_024_000 // batch_size


def _matching(batch_size: int, learning_rate: float = 1e-5) -> TrainConfig:
    """SiD's training, over 500 million generated images."""
    return TrainConfig(
        batch_size=batch_size,
        steps=500_000_000 // batch_size,
        learning_rate=learning_rate,
        beta_1=0.0,
        beta_2=0.999,
        # A half-life of 500,000 images.
        ema_decay=0.5 ** (batch_size / 500_000),
    )


CIFAR10 = Preset(
    unet=UNetConfig(),
    data=DataConfig("cifar10"),
    teacher=TrainConfig(
        batch_size=128, steps=800_000, warmup_steps=5000, clip_norm=1.0
    ),
    sampler=SamplerConfig("quadratic", 100),
    pairs=PairsConfig(held_out_pairs=51_200),
    distill=DistillConfig("l1"),
    student=TrainConfig(
        batch_size=512,
        steps=_steps(25, 512),
        warmup_steps=5000,
        beta_2=0.98,
        ema_decay=0.995,
    ),
    match=MatchConfig(alpha=1.2, fake_learning_rate=1e-5, keep="fid"),
    matching=_matching(256),
)

CELEBA64 = Preset(
    unet=UNetConfig(image_size=64, width_multipliers=(1, 2, 2, 2, 4)),
    data=DataConfig("celeb_a"),
    teacher=TrainConfig(
        batch_size=128, steps=500_000, warmup_steps=5000, clip_norm=1.0
    ),
    sampler=SamplerConfig("quadratic", 100),
    pairs=PairsConfig(held_out_pairs=10_240),
    distill=DistillConfig("l2"),
    student=TrainConfig(
        batch_size=512,
        steps=_steps(35, 512),
        learning_rate=5e-5,
        warmup_steps=5000,
        beta_2=0.98,
        ema_decay=0.995,
    ),
    match=MatchConfig(fake_learning_rate=1e-5, keep="fid"),
    matching=_matching(512),
)


def _lsun(dataset: str, epochs: int, teacher_steps: int) -> Preset:
    return Preset(
        unet=UNetConfig(
            image_size=256, width_multipliers=(1, 1, 2, 2, 4, 4), dropout=0.0
        ),
        data=DataConfig(dataset),
        teacher=TrainConfig(
            batch_size=64,
            steps=teacher_steps,
            learning_rate=2e-5,
            warmup_steps=5000,
            clip_norm=1.0,
        ),
        sampler=SamplerConfig("uniform", 50),
        # This makes shards of about 200 MB.
        pairs=PairsConfig(held_out_pairs=2_560, shard_pairs=1024),
        distill=DistillConfig("l2"),
        student=TrainConfig(
            batch_size=32,
            steps=_steps(epochs, 32),
            learning_rate=5e-6,
            warmup_steps=1000,
            beta_1=0.98,
            ema_decay=0.9995,
        ),
        # SiD was not published for these images: the values are those for 64x64, with
        # the batch and the rate that fit a quarter of the images in a step.
        match=MatchConfig(fake_learning_rate=5e-6, keep="fid"),
        matching=_matching(128, 5e-6),
    )


LSUN_BEDROOM = _lsun("lsun/bedroom", epochs=50, teacher_steps=2_388_000)
LSUN_CHURCH = _lsun("lsun/church_outdoor", epochs=40, teacher_steps=4_432_000)
