"""Opens files of tensors without a config: DDIM, improved- and guided-diffusion."""

import functools
import os
import re
from typing import Any

import numpy as np

from tf_student.convert import (
    ddpm,
    guided_diffusion,
    guided_options,
    json_file,
    state_dicts,
    tensor_files,
)
from tf_student.convert.published import Published
from tf_student.convert.rows import Tensors
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

# The files of a training run of improved- and guided-diffusion: `model010000.pt` has
# the raw weights, and `ema_0.9999_010000.pt` beside it the EMA weights.
_RAW = re.compile(r"model(\d{6,})\.pt")
_MOST_STEPS = 1_000_000


def read(path: str, weights: str, given: dict[str, Any]) -> Published:
    """Opens a PyTorch checkpoint or a `.safetensors` file.

    Args:
        path: of a local file.
        weights: the key of the network in a file of several, or the name of the file.
        given: options of the configs; those of the schedule are taken out where they
            belong to the layout.

    Raises:
        InputError: if the file is damaged, of another layout, or if it is not clear
            which weights to read.
    """
    name = os.path.basename(path)
    if weights != name:
        _refuse_raw(path, name)
    tensors = tensor_files.named_tensors(path, "" if weights == name else weights)
    if tensors.note == state_dicts.UNNAMED and state_dicts.is_average(name):
        tensors = tensors.noted("EMA, by the name of the file")
    if guided_diffusion.is_layout(tensors.shapes):
        return _guided_diffusion(path, tensors, given)
    config = ddpm.infer(tensors.shapes, path, given.get("image_size"))
    kind = "a checkpoint of DDIM's PyTorch code"
    return Published(kind, config, _process(tensors), tensors, ddpm.rows)


def _refuse_raw(path: str, name: str) -> None:
    match = _RAW.fullmatch(name)
    if match is None:
        return
    beside = os.listdir(os.path.dirname(path) or ".")
    ending = f"_{match[1]}.pt"
    averages = [n for n in beside if n.startswith("ema_") and n.endswith(ending)]
    if averages:
        raise InputError(
            f"{path} has the raw weights, and the EMA weights are beside it: "
            f"{', '.join(sorted(averages))}. Set `weights` to {name} to take it anyway."
        )


def _process(tensors: Tensors) -> DiffusionConfig:
    """The process of the betas among the tensors, or DDPM's."""
    if "betas" not in tensors.buffers:
        return DiffusionConfig()
    betas = np.asarray(tensors.read("betas"), np.float64)
    if betas.ndim != 1 or not 2 <= len(betas) <= _MOST_STEPS:
        raise InputError(
            f"{tensors.origin}: `betas` must be a vector. Received: {betas.shape}."
        )
    usual = np.linspace(1e-4, 0.02, len(betas))
    if len(betas) == 1000 and np.allclose(betas, usual, rtol=1e-5, atol=1e-9):
        return DiffusionConfig()
    return DiffusionConfig(len(betas), betas=tuple(betas.tolist()))


def _guided_diffusion(path: str, tensors: Tensors, given: dict[str, Any]) -> Published:
    beside = os.path.splitext(path)[0] + ".json"
    places = (beside, os.path.join(os.path.dirname(path), "options.json"))
    options = guided_options.Options()
    for place in places:
        if os.path.exists(place):
            options = guided_options.read_options(json_file.read(place), place)
            break
    options = guided_options.with_given(options, given)
    config = guided_diffusion.infer(tensors.shapes, options, path)
    rows = functools.partial(
        guided_diffusion.rows, new_attention_order=options.use_new_attention_order
    )
    diffusion = guided_options.read_diffusion(options)
    kind = "a checkpoint of improved- or guided-diffusion"
    return Published(kind, config, diffusion, tensors, rows)
