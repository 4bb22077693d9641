"""Recognizes published weights by their files."""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import logging

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import (
    ddpm,
    denoising_student,
    diffusers,
    diffusers_config,
    diffusers_scheduler,
    guided_diffusion,
    guided_options,
    tensor_files,
    torch_file,
)
from tf_student.convert.rows import Row, Tensors
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime import files, paths
from tf_student.runtime.errors import InputError

_HUB = "hf:"
_TORCH = (".pt", ".pth", ".ckpt", ".bin")
_EXPECTED = (
    "a folder of diffusers, a TensorFlow checkpoint of DDPM, a PyTorch checkpoint "
    f"({', '.join(_TORCH)}), an .h5 file of the Denoising Student, or {_HUB}owner/name"
)


@dataclasses.dataclass(frozen=True)
class Published:
    """Published weights, and what their source says about the network.

    Attributes:
        config: the architecture that the source states or implies.
        diffusion: the forward process.
        tensors: the weights.
        rows: returns the table that maps them to the variables of a `UNetConfig`.
        is_student: whether they are the weights of a one-step generator.
    """

    config: UNetConfig
    diffusion: DiffusionConfig
    tensors: Tensors
    rows: Callable[[UNetConfig], list[Row]]
    is_student: bool = False


def open_source(source: str, **options: Any) -> Published:
    """Opens published weights.

    Args:
        source: a local path, or `hf:owner/name` on the Hugging Face Hub. It may be a
            folder of diffusers, a TensorFlow checkpoint of DDPM, a PyTorch checkpoint,
            or an `.h5` file of the Denoising Student.
        **options: fields of `UNetConfig` and `DiffusionConfig` that replace what the
            source states or implies.

    Raises:
        InputError: if the source is missing, damaged or of another layout.
        TypeError: if neither config has one of the options.
    """
    if "heads" in options:
        options.setdefault("head_width", 0)
    if "width_multipliers" in options:
        options.setdefault("level_widths", ())
    published = _open(source, options)
    names = {field.name for field in dataclasses.fields(DiffusionConfig)}
    of_process = {name: options.pop(name) for name in names & options.keys()}
    return dataclasses.replace(
        published,
        config=dataclasses.replace(published.config, **options),
        diffusion=dataclasses.replace(published.diffusion, **of_process),
    )


def _open(source: str, given: dict[str, Any]) -> Published:
    path = _download(source) if source.startswith(_HUB) else source
    if tf.io.gfile.isdir(path):
        return _open_folder(path)
    if os.path.exists(f"{path}.index"):
        return _open_checkpoint(path)
    if not os.path.exists(path):
        raise InputError(f"`source` must exist. Received: source={source}.")
    if path.endswith(".h5"):
        return _open_h5(path)
    if path.endswith(_TORCH):
        return _open_torch(path, given)
    raise InputError(f"`source` must be {_EXPECTED}. Received: source={source}.")


def _download(source: str) -> str:
    name = source.removeprefix(_HUB)
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"source={source} needs huggingface_hub: pip install 'tf-student[hub]'."
        ) from error
    wanted = (
        "*.json",
        f"*{diffusers.WEIGHTS}.safetensors",
        f"*{diffusers.WEIGHTS}.bin",
    )
    try:
        return huggingface_hub.snapshot_download(name, allow_patterns=list(wanted))
    # Connections fail with errors of many types.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"source={source} could not be downloaded and is not in the cache: {reason}"
        ) from error


def _open_folder(path: str) -> Published:
    for folder in (path, os.path.join(path, "unet")):
        if tf.io.gfile.exists(os.path.join(folder, "config.json")):
            return _open_diffusers(folder)
    indices = [name for name in paths.listdir(path) if name.endswith(".index")]
    if not indices:
        raise InputError(f"`source` must be {_EXPECTED}. Received: source={path}.")
    # The folder's list may name files that are elsewhere.
    latest = os.path.basename(tf.train.latest_checkpoint(path) or "")
    if f"{latest}.index" in indices:
        return _open_checkpoint(os.path.join(path, latest))
    if len(indices) > 1:
        raise InputError(
            f"`source` must name one of {path}'s {len(indices)} checkpoints."
        )
    return _open_checkpoint(os.path.join(path, indices[0].removesuffix(".index")))


def _open_diffusers(folder: str) -> Published:
    origin = os.path.join(folder, "config.json")
    config = diffusers_config.read_config(files.read_json(origin), origin)
    diffusion = _scheduler(folder)
    weights = os.path.join(folder, diffusers.WEIGHTS)
    if tf.io.gfile.exists(f"{weights}.safetensors"):
        tensors = tensor_files.safetensors(f"{weights}.safetensors")
    elif tf.io.gfile.exists(f"{weights}.bin"):
        tensors = torch_file.read(f"{weights}.bin")
    else:
        raise InputError(f"{folder} must have {diffusers.WEIGHTS}.safetensors or .bin.")
    tensors = tensors.renamed(diffusers.current_name)
    return Published(config, diffusion, tensors, diffusers.rows)


def _scheduler(folder: str) -> DiffusionConfig:
    """The forward process of the scheduler beside or below a network, or DDPM's."""
    folder = os.path.normpath(folder)
    places = [folder, os.path.join(folder, "scheduler")]
    if os.path.basename(folder) == "unet":
        places.append(os.path.join(os.path.dirname(folder), "scheduler"))
    for place in places:
        origin = os.path.join(place, "scheduler_config.json")
        if tf.io.gfile.exists(origin):
            return diffusers_scheduler.read_scheduler(files.read_json(origin), origin)
    logging.warning(
        "%s has no scheduler. Assuming that the network predicts noise, and that the "
        "betas rise linearly from 1e-4 to 0.02 over 1000 steps.",
        folder,
    )
    return DiffusionConfig()


def _open_checkpoint(prefix: str) -> Published:
    paths.check_restorable(prefix)
    tensors = tensor_files.checkpoint(prefix).renamed(ddpm.ema_name)
    config = ddpm.infer_tensorflow(tensors.shapes, prefix)
    return Published(config, DiffusionConfig(), tensors, ddpm.tensorflow_rows)


def _open_torch(path: str, given: dict[str, Any]) -> Published:
    tensors = torch_file.read(path)
    if guided_diffusion.is_layout(tensors.shapes):
        return _open_guided_diffusion(path, tensors, given)
    config = ddpm.infer(tensors.shapes, path)
    return Published(config, DiffusionConfig(), tensors, ddpm.rows)


def _open_guided_diffusion(
    path: str, tensors: Tensors, given: dict[str, Any]
) -> Published:
    beside = os.path.splitext(path)[0] + ".json"
    places = (beside, os.path.join(os.path.dirname(path), "options.json"))
    options = guided_options.Options()
    for place in places:
        if os.path.exists(place):
            values = files.read_json(place)
            options = guided_options.read_options(values, place)
            break
    options = guided_options.with_given(options, given)
    config = guided_diffusion.infer(tensors.shapes, options, path)
    rows = functools.partial(
        guided_diffusion.rows, new_attention_order=options.use_new_attention_order
    )
    diffusion = guided_options.read_diffusion(options)
    return Published(config, diffusion, tensors, rows)


def _open_h5(path: str) -> Published:
    tensors = tensor_files.keras_weights(path)
    config, from_pytorch = denoising_student.infer(tensors.shapes, path)

    def rows(config: UNetConfig) -> list[Row]:
        return denoising_student.rows(config, from_pytorch=from_pytorch)

    # A student was saved as one layer that contains the whole network.
    student = tensor_files.layer_count(path) == 1
    return Published(config, DiffusionConfig(), tensors, rows, student)
