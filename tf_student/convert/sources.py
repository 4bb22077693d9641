"""Recognizes published weights by their files."""

import dataclasses
import os
from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers_source, hub, tensorflow_source, torch_source
from tf_student.convert.published import Published
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

_TORCH = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_EXPECTED = (
    "a folder of diffusers, a TensorFlow checkpoint of DDPM, a PyTorch checkpoint "
    f"({', '.join(_TORCH)}), an .h5 file of the Denoising Student, or "
    f"{hub.PREFIX}owner/name"
)
# Options that all betas take the place of.
_SCHEDULE = {"timesteps", "schedule", "beta_start", "beta_end"}


def open_source(source: str, *, weights: str = "", **options: Any) -> Published:
    """Opens published weights.

    Args:
        source: a local path, or `hf:owner/name` on the Hugging Face Hub. It may be a
            folder of diffusers, a TensorFlow checkpoint of DDPM, a PyTorch checkpoint,
            or an `.h5` file of the Denoising Student.
        weights: which of several networks in a source: a key of a PyTorch file, the
            name of a folder, or a variant such as `fp16`. By default the EMA weights.
        **options: fields of `UNetConfig` and `DiffusionConfig` that replace what the
            source states or implies.

    Raises:
        InputError: if the source is missing, damaged or of another layout, or if it is
            not clear which weights to read.
        TypeError: if neither config has one of the options.
    """
    if "heads" in options:
        options.setdefault("head_width", 0)
    if "width_multipliers" in options:
        options.setdefault("level_widths", ())
    published = _open(source, weights, options)
    names = {field.name for field in dataclasses.fields(DiffusionConfig)}
    of_process = {name: options.pop(name) for name in names & options.keys()}
    if of_process.keys() & _SCHEDULE:
        of_process.setdefault("betas", ())
    published = dataclasses.replace(
        published,
        config=dataclasses.replace(published.config, **options),
        diffusion=dataclasses.replace(published.diffusion, **of_process),
    )
    _check_size(published)
    return published


def _check_size(published: Published) -> None:
    """Refuses a config of far more layers than the file has, before it is planned."""
    config, count = published.config, len(published.tensors.shapes)
    blocks = len(config.widths) * config.blocks_per_level
    if blocks > count:
        raise InputError(
            f"{published.tensors.origin} must have a network of {blocks:,} blocks or "
            f"more. Received: {count:,} tensors."
        )


def _open(source: str, weights: str, given: dict[str, Any]) -> Published:
    path = source
    if source.startswith(hub.PREFIX):
        path = hub.download(source, weights)
    if tf.io.gfile.isdir(path):
        folder = diffusers_source.find(path, weights)
        if folder is not None:
            return diffusers_source.read(folder, weights, given)
    prefix = tensorflow_source.prefix(path)
    if prefix is not None:
        if weights:
            raise InputError(f"`weights` has no meaning for {path}.")
        return tensorflow_source.checkpoint(prefix, given.get("image_size"))
    if not os.path.exists(path):
        raise InputError(f"`source` must exist. Received: source={source}.")
    if os.path.isfile(path):
        return _open_file(path, weights, given)
    raise InputError(f"`source` must be {_EXPECTED}. Received: source={source}.")


def _open_file(path: str, weights: str, given: dict[str, Any]) -> Published:
    folder, name = os.path.split(path)
    if path.endswith((".safetensors", ".bin")) and diffusers_source.has_config(folder):
        return diffusers_source.read(folder, weights or name, given)
    if path.endswith(".h5"):
        if weights:
            raise InputError(f"`weights` has no meaning for {path}.")
        return tensorflow_source.h5(path)
    if path.endswith(_TORCH):
        return torch_source.read(path, weights, given)
    raise InputError(f"`source` must be {_EXPECTED}. Received: source={path}.")
