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
from tf_student.runtime import files


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
    """
    # Both may refuse: before anything is written.
    network = diffusers_written.write_config(config)
    process = diffusers_scheduler.write_scheduler(diffusion)
    tensors = rows.revert(diffusers.rows(config), read)
    scheduler = os.path.join(directory, "scheduler")
    tf.io.gfile.makedirs(scheduler)
    _write_safetensors(
        os.path.join(directory, f"{diffusers.WEIGHTS}.safetensors"), tensors
    )
    files.write_json(
        os.path.join(scheduler, "scheduler_config.json"),
        process,
    )
    files.write_json(os.path.join(directory, "config.json"), network)


def _write_safetensors(path: str, tensors: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, "weights")
        # diffusers requires the framework's name as the format.
        save_file(tensors, local, metadata={"format": "pt"})
        with files.replacing(path) as temporary:
            tf.io.gfile.copy(local, temporary)
