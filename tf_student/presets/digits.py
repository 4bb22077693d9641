"""Presets for small images, which train in minutes on a CPU."""

import dataclasses

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.presets.preset import Preset
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig

_SMALL = Preset(
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
    sampler=SamplerConfig("log_snr", 12, "dpm++2m"),
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
    match=MatchConfig(fake_learning_rate=8e-4, fake_beta_1=0.5),
    matching=TrainConfig(
        batch_size=128,
        steps=120,
        learning_rate=2e-4,
        warmup_steps=20,
        decay_steps=60,
        beta_1=0.0,
        beta_2=0.99,
        ema_decay=0.99,
    ),
    evaluate=EvaluateConfig(samples=10_000, repeats=2, extractor="digits"),
    log=LogConfig(log_every=20, checkpoint_every=250, evaluate_every=250),
)

# For the demo, which has to be short. Regression keeps more of the rarest class.
DIGITS = dataclasses.replace(
    _SMALL,
    student=dataclasses.replace(_SMALL.student, batch_size=64),
    match=dataclasses.replace(_SMALL.match, regression=0.05),
    matching=dataclasses.replace(_SMALL.matching, batch_size=64),
)

# Many more pairs: with 40,000 of them the held-out loss stops decreasing early.
DIGITS_LONG = dataclasses.replace(
    _SMALL,
    teacher=dataclasses.replace(_SMALL.teacher, steps=2_500, decay_steps=2_400),
    pairs=dataclasses.replace(_SMALL.pairs, pairs=200_000),
    student=dataclasses.replace(_SMALL.student, steps=6_500, decay_steps=6_400),
    matching=dataclasses.replace(_SMALL.matching, steps=600, decay_steps=400),
    log=LogConfig(log_every=50, checkpoint_every=1000, evaluate_every=1000),
)

DIGITS_CLASSES = dataclasses.replace(
    _SMALL,
    unet=dataclasses.replace(_SMALL.unet, classes=10, label_dropout=0.1),
    sampler=dataclasses.replace(_SMALL.sampler, guidance=1.5),
)

MNIST = dataclasses.replace(
    _SMALL,
    unet=dataclasses.replace(_SMALL.unet, image_size=28, attention_resolutions=(7,)),
    data=DataConfig("mnist", flip=False),
)
