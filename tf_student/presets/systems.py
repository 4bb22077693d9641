"""The paper's four systems, and small ones that train in minutes.

Values: Luhman & Luhman (arXiv 2101.02388, sec. 4 and app. A) for the students, DDIM
(arXiv 2010.02502, app. D) for the samplers, DDPM (arXiv 2006.11239, app. B) for the
teachers.
"""

import dataclasses

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.runtime.errors import InputError
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """Everything that one system is made of."""

    unet: UNetConfig
    data: DataConfig
    teacher: TrainConfig
    sampler: SamplerConfig
    pairs: PairsConfig
    distill: DistillConfig
    student: TrainConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    log: LogConfig = LogConfig()


def _steps(epochs: int, batch_size: int) -> int:
    """Optimizer steps of the paper's epochs over 1,024,000 pairs."""
    return epochs * 1_024_000 // batch_size


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
        # Shards of about 200 MB.
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
    )


LSUN_BEDROOM = _lsun("lsun/bedroom", epochs=50, teacher_steps=2_388_000)
LSUN_CHURCH = _lsun("lsun/church_outdoor", epochs=40, teacher_steps=4_432_000)

DIGITS = Preset(
    unet=UNetConfig(
        image_size=8,
        channels=1,
        base_width=32,
        width_multipliers=(1, 2, 2),
        attention_resolutions=(4,),
        groups=8,
        dropout=0.0,
    ),
    data=DataConfig("digits", flip=False),
    teacher=TrainConfig(
        batch_size=128,
        steps=950,
        learning_rate=1e-3,
        warmup_steps=50,
        decay_steps=850,
        clip_norm=1.0,
        ema_decay=0.995,
    ),
    sampler=SamplerConfig("uniform", 20),
    pairs=PairsConfig(pairs=20_000, held_out_pairs=1_000, shard_pairs=2_500),
    distill=DistillConfig("l1"),
    student=TrainConfig(
        batch_size=128,
        steps=800,
        learning_rate=3e-3,
        warmup_steps=50,
        decay_steps=750,
        beta_2=0.98,
        ema_decay=0.995,
    ),
    evaluate=EvaluateConfig(samples=10_000, repeats=2, extractor="digits"),
    log=LogConfig(log_every=20, checkpoint_every=250, evaluate_every=250),
)

# Ten times the pairs, made in fewer calls: with 40,000 the held-out loss stops falling
# early.
DIGITS_LONG = dataclasses.replace(
    DIGITS,
    teacher=dataclasses.replace(DIGITS.teacher, steps=2_500, decay_steps=2_400),
    sampler=SamplerConfig("log_snr", 12, "dpm++2m"),
    pairs=dataclasses.replace(DIGITS.pairs, pairs=200_000),
    student=dataclasses.replace(DIGITS.student, steps=6_500, decay_steps=6_400),
    log=LogConfig(log_every=50, checkpoint_every=1000, evaluate_every=1000),
)

MNIST = dataclasses.replace(
    DIGITS,
    unet=dataclasses.replace(DIGITS.unet, image_size=28, attention_resolutions=(7,)),
    data=DataConfig("mnist", flip=False),
)

PRESETS = {
    "cifar10": CIFAR10,
    "celeba64": CELEBA64,
    "lsun_bedroom": LSUN_BEDROOM,
    "lsun_church": LSUN_CHURCH,
    "digits": DIGITS,
    "digits_long": DIGITS_LONG,
    "mnist": MNIST,
}


def get_preset(name: str) -> Preset:
    """The preset of that name, or an `InputError` that lists them."""
    if name not in PRESETS:
        raise InputError(
            f"`preset` must be one of: {', '.join(PRESETS)}. Received: {name}."
        )
    return PRESETS[name]
