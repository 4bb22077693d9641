"""Computes what a command would cost, for --dry_run."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.architecture import arithmetic, memory, plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import rows, sources
from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.pairs import manifests, writer
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import TrainConfig

# Weights, EMA weights and Adam's two moments.
_TRAINING_COPIES = 4
# Weights of the fake score, and Adam's two moments.
_FAKE_COPIES = 3


def training(
    unet: UNetConfig, train: TrainConfig, run: RunConfig, checkpoints: int
) -> dict[str, int]:
    """Returns the cost of a training run on the devices of this machine."""
    count = memory.parameters(unet)
    devices = max(1, _gpus())
    batch = -(-train.batch_size // (devices * run.accumulate))
    options = {"half": run.dtype != "float32", "recompute": run.recompute}
    peak = memory.training(unet, batch, **options)
    return {
        "parameters": count,
        "steps": train.steps,
        "images in a step": train.batch_size,
        "images that a device holds at once": batch,
        "bytes of memory on each device (about)": peak
        + _on_the_host(1, int(run.recompute)),
        "network calls (images, forward and backward)": train.steps * train.batch_size,
        **_operations(unet, 3 * train.steps * train.batch_size),
        "bytes on disk": 4 * count * (_TRAINING_COPIES * checkpoints + 1),
    }


def matching(
    unet: UNetConfig,
    match: MatchConfig,
    train: TrainConfig,
    run: RunConfig,
    checkpoints: int,
) -> dict[str, int]:
    """Returns the cost of matching a student on the devices of this machine."""
    cost = training(unet, train, run, checkpoints)
    batch = cost["images that a device holds at once"]
    peak = memory.matching(
        unet,
        batch,
        through_teacher=match.objective == "sid",
        regression=match.regression > 0,
        half=run.dtype != "float32",
        recompute=run.recompute,
    )
    networks, recomputed = graphs(match)
    recomputed *= run.recompute
    # Forward: student, teacher, fake score, and again the fake score, which is trained.
    calls = 4 + 2 * (match.fake_updates - 1) + (match.regression > 0)
    calls += 2 * (match.adversarial > 0)
    count = cost["parameters"]
    copies = _TRAINING_COPIES + _FAKE_COPIES
    del cost["network calls (images, forward and backward)"]
    return {
        **cost,
        **_operations(unet, _matching_passes(match) * train.steps * train.batch_size),
        "bytes of memory on each device (about)": peak
        + _on_the_host(networks, recomputed),
        "network calls (images, forward)": calls * train.steps * train.batch_size,
        "bytes on disk": 4 * count * (copies * checkpoints + 1),
    }


def graphs(match: MatchConfig) -> tuple[int, int]:
    """Returns how many networks a matching step has, and how many with gradients."""
    second = int(match.regression > 0)
    # DMD has no gradients through the teacher.
    return 3 + second, (3 if match.objective == "sid" else 2) + second


def _matching_passes(match: MatchConfig) -> int:
    """How often an image passes a network in a step; going back counts twice.

    It counts once for a network that is not trained.
    """
    # Student and fake score there and back, and the teacher and the fake score once.
    passes = 3 + 3 + 1 + 1
    passes += 2 * (match.objective == "sid") + 4 * (match.fake_updates - 1)
    return passes + 3 * (match.regression > 0) + 4 * (match.adversarial > 0)


def _operations(unet: UNetConfig, passes: int) -> dict[str, int]:
    """The operations of a number of forward passes of one image, to three digits."""
    operations = 2 * arithmetic.multiply_adds(unet) * passes
    return {"floating-point operations (about)": int(float(f"{operations:.3g}"))}


def _gpus() -> int:
    return len(tf.config.list_physical_devices("GPU"))


def _on_the_host(networks: int, recomputed: int) -> int:
    """What a step needs besides on the CPU, if the CPU is the device."""
    if _gpus():
        return 0
    return memory.runtime(networks, recomputed=recomputed)


def online(
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    pairs: PairsConfig,
    train: TrainConfig,
) -> dict[str, int]:
    """Returns the additional cost of generating the pairs on demand."""
    calls = schedules.network_calls(sampler, diffusion)
    images = train.steps * train.batch_size + pairs.held_out_pairs
    return {
        "images of the teacher": images,
        "network calls of the teacher for an image": calls,
        "network calls of the teacher": calls * images,
    }


def sampling(
    unet: UNetConfig,
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    count: int,
    *,
    student: bool = False,
) -> dict[str, int]:
    """Returns the cost of drawing `count` images with the teacher or the student."""
    calls = 1 if student else schedules.network_calls(sampler, diffusion)
    return {
        "parameters": memory.parameters(unet),
        "images": count,
        "network calls for an image": calls,
        "network calls": calls * count,
        **_operations(unet, calls * count),
    }


def serving(
    unet: UNetConfig,
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    dtype: str,
    *,
    student: bool,
) -> dict[str, int]:
    """Returns the cost of an exported network and of one image from it."""
    image = sampling(unet, diffusion, sampler, 1, student=student)
    count = image["parameters"]
    return {
        "parameters": count,
        "network calls for an image": image["network calls"],
        "bytes on disk (about)": {"float32": 4, "int8": 1}.get(dtype, 2) * count,
    }


def pairs(
    unet: UNetConfig,
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    config: PairsConfig,
    run: RunConfig,
) -> dict[str, int]:
    """Returns the cost of a pair set."""
    manifest = manifests.plan("", unet.image_shape, diffusion, sampler, config, run)
    count = config.pairs + config.held_out_pairs
    values = int(np.prod(unet.image_shape))
    return {
        **sampling(unet, diffusion, sampler, count),
        "files": len(manifest.shards),
        "bytes on disk (at most)": writer.bytes_on_disk(manifest),
        "bytes with float16 noise stored beside each image": 3 * values * count,
    }


def conversion(source: str, **options: Any) -> dict[str, Any]:
    """Returns what a source is, and the size of its conversion.

    The names and shapes of the tensors are compared with the network; their values are
    not read.
    """
    if RunDirectory.exists(source):
        config = RunDirectory.open(source).config("unet", UNetConfig)
        known: dict[str, Any] = {"source": "a run of this library"}
    else:
        published = sources.open_source(source, **options)
        config = published.config
        rows.check(published.rows(config), published.tensors, plan.variables(config))
        diffusion = published.diffusion
        known = {
            "source": published.kind,
            "weights": published.tensors.note,
            "prediction": diffusion.prediction,
            "schedule": _schedule(diffusion),
            "classes": config.classes or "none",
        }
    count = memory.parameters(config)
    return {
        **known,
        "image size": config.image_size,
        "parameters": count,
        "bytes on disk (about)": 4 * count,
    }


def _schedule(diffusion: DiffusionConfig) -> str:
    steps = f"over {diffusion.timesteps:,} steps"
    if diffusion.zero_terminal_snr:
        steps += ", scaled to zero terminal SNR"
    if diffusion.betas:
        first, last = diffusion.betas[0], diffusion.betas[-1]
        return f"the betas of the source, {first:.4g} to {last:.4g} {steps}"
    if diffusion.schedule == "cosine":
        return f"cosine {steps}"
    ends = f"{diffusion.beta_start:.4g} to {diffusion.beta_end:.4g}"
    return f"{diffusion.schedule}, betas from {ends} {steps}"
