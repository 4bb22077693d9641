"""Opens a folder of diffusers: the network, its scheduler, and the weights."""

import os
from typing import Any

import tensorflow as tf
from absl import logging

from tf_student.convert import (
    diffusers,
    diffusers_config,
    diffusers_scheduler,
    families,
    json_file,
    state_dicts,
    weight_files,
)
from tf_student.convert.published import Published
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

_CONFIG = "config.json"


def find(path: str, weights: str = "") -> str | None:
    """The folder of the network in a folder, or None if there is none.

    It is the folder itself, or one of those that pipelines and training scripts write:
    `unet`, `unet_ema`. EMA weights come first.

    Args:
        path: a folder.
        weights: the name of the folder, if it is not the usual one.

    Raises:
        InputError: if it is not clear which one to take.
    """
    if has_config(path):
        return path
    # Folders of other file systems are listed with a slash.
    names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(path))
    names = [n for n in names if n.startswith("unet") and _exists(path, n, _CONFIG)]
    if weights in names:
        return os.path.join(path, weights)
    names = [n for n in names if state_dicts.is_average(n)] or names
    if len(names) > 1:
        raise InputError(
            f"{path} has several networks. Set `weights` to one of: {', '.join(names)}."
        )
    return os.path.join(path, names[0]) if names else None


def has_config(folder: str) -> bool:
    """Whether a folder has the config of a network."""
    return _exists(folder, _CONFIG)


def read(folder: str, weights: str, given: dict[str, Any]) -> Published:
    """Opens the folder that has a network's `config.json`.

    Args:
        folder: from `find`.
        weights: a variant, such as `fp16`, or the name of a file.
        given: options that replace what the config states.

    Raises:
        InputError: if a file is missing, damaged or unsupported.
    """
    folder = os.path.normpath(folder)
    name = os.path.basename(os.path.abspath(folder))
    inside = name.startswith("unet")
    root = os.path.normpath(os.path.join(folder, os.pardir)) if inside else folder
    _refuse_latent(root)
    origin = os.path.join(folder, _CONFIG)
    config = diffusers_config.read_config(
        json_file.read(origin), origin, given.get("image_size")
    )
    diffusion = _scheduler(folder, root)
    tensors = weight_files.read(folder, "" if weights == name else weights)
    if inside:
        note = _note(root, name)
        known = tensors.note != state_dicts.UNNAMED
        tensors = tensors.noted(f"{tensors.note}; {note}" if known else note)
    tensors = tensors.renamed(diffusers.current_name)
    kind = "a folder of diffusers (UNet2DModel)"
    return Published(kind, config, diffusion, tensors, diffusers.rows)


def _note(root: str, name: str) -> str:
    """Which weights the folder of a network has, in words."""
    if state_dicts.is_average(name):
        return f"EMA, folder {name}"
    if not _exists(root, f"{name}_ema", _CONFIG):
        return f"folder {name}, the only one"
    logging.warning("%s has EMA weights in %s_ema.", root, name)
    return f"raw, folder {name}; the EMA weights are in {name}_ema"


def _exists(*parts: str) -> bool:
    return tf.io.gfile.exists(os.path.join(*parts))


def _refuse_latent(root: str) -> None:
    for part in ("vae", "vqvae"):
        if _exists(root, part, _CONFIG):
            raise InputError(
                f"{root} holds a latent diffusion model, which is not supported. "
                f"{families.COVERED}. Received: the folder {part}."
            )


def _scheduler(folder: str, root: str) -> DiffusionConfig:
    """The forward process of the scheduler beside or below a network, or DDPM's."""
    places = [
        folder,
        os.path.join(folder, "scheduler"),
        os.path.join(root, "scheduler"),
    ]
    if os.path.basename(root).startswith("checkpoint-"):
        # A training script writes the pipeline above its checkpoints.
        places.append(os.path.join(os.path.dirname(root), "scheduler"))
    for place in places:
        origin = os.path.join(place, "scheduler_config.json")
        if _exists(origin):
            return diffusers_scheduler.read_scheduler(json_file.read(origin), origin)
    logging.warning(
        "%s has no scheduler. Assuming that the network predicts noise, and that the "
        "betas rise linearly from 1e-4 to 0.02 over 1000 steps.",
        folder,
    )
    return DiffusionConfig()
