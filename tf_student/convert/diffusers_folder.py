"""Writes a network as a folder for diffusers' `UNet2DModel`."""

import os
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import (
    diffusers,
    diffusers_scheduler,
    diffusers_written,
    rows,
)
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime import files, leftovers


def write(
    directory: str,
    config: UNetConfig,
    diffusion: DiffusionConfig,
    read: Callable[[str], np.ndarray],
) -> None:
    """Writes weights, `config.json` and `scheduler/scheduler_config.json`.

    Args:
        directory: new or empty.
        config: the network's architecture.
        diffusion: its forward process.
        read: returns the value of the variable at a path of `architecture.plan`.

    Raises:
        InputError: if another process writes the directory meanwhile.
    """
    # Both may refuse: before anything is written.
    network = diffusers_written.write_config(config)
    process = diffusers_scheduler.write_scheduler(diffusion)
    tensors = rows.revert(diffusers.rows(config), read)
    directory = os.path.normpath(directory) if "://" not in directory else directory
    parent, name = os.path.split(directory.rstrip("/"))
    parent = parent or "."
    tf.io.gfile.makedirs(parent)
    with (
        leftovers.tidied(parent, {name}.__contains__),
        files.replacing_directory(directory) as temporary,
    ):
        scheduler = os.path.join(temporary, "scheduler")
        tf.io.gfile.makedirs(scheduler)
        _write_safetensors(
            os.path.join(temporary, f"{diffusers.WEIGHTS}.safetensors"), tensors
        )
        files.write_json(os.path.join(scheduler, "scheduler_config.json"), process)
        files.write_json(os.path.join(temporary, "config.json"), network)
        leftovers.remove_if_empty(directory)


def _write_safetensors(path: str, tensors: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, "weights")
        # diffusers requires the framework's name as the format.
        save_file(tensors, local, metadata={"format": "pt"})
        tf.io.gfile.copy(local, path)
