"""Which file of a diffusers folder holds the weights, and the shards that it names.

The first of these that a folder has is read: `diffusion_pytorch_model.safetensors`, its
index of shards, `.bin`, and its index; then the only variant, such as
`diffusion_pytorch_model.fp16.safetensors`. A variant that is named after EMA weights
comes before all others.
"""

import os
import re
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers, json_file, state_dicts, tensor_files
from tf_student.convert.rows import Tensors
from tf_student.runtime.errors import InputError

_FILE = re.compile(
    rf"{diffusers.WEIGHTS}(?:\.(?P<variant>[\w-]+))?\.(?:safetensors|bin)"
)
# diffusers has put the variant of an index in three places.
_INDEX = re.compile(
    rf"{diffusers.WEIGHTS}(?:\.(?P<a>[\w-]+))?\.(?:safetensors|bin)"
    r"(?:\.(?P<b>[\w-]+))?\.index(?:\.(?P<c>[\w-]+))?\.json"
)
_SHARD = re.compile(r"-\d+-of-\d+\.")


def read(folder: str, weights: str = "") -> Tensors:
    """The weights in a folder.

    Args:
        folder: that `config.json` is in.
        weights: the variant, such as `fp16`, or the name of a file; empty for the file
            that the rule above selects.

    Raises:
        InputError: if there are none, if it is not clear which to read, or if they are
            damaged.
    """
    names = sorted(tf.io.gfile.listdir(folder))
    found = {name: _variant(name) for name in names if not _SHARD.search(name)}
    variants = {name: v for name, v in found.items() if v is not None}
    name = _select(folder, variants, weights)
    note = _note(variants[name], variants.values())
    if name.endswith(".json"):
        return _shards(folder, name, note)
    return _opened(os.path.join(folder, name), note)


def _variant(name: str) -> str | None:
    """The variant in the name of a file of weights, or None for other files."""
    match = _FILE.fullmatch(name) or _INDEX.fullmatch(name)
    return match and next(filter(None, match.groups()), "")


def _select(folder: str, variants: dict[str, str], weights: str) -> str:
    if not variants:
        raise InputError(f"{folder} must have {diffusers.WEIGHTS}.safetensors or .bin.")
    if weights in variants:
        return weights
    wanted = set(variants.values())
    if weights and weights not in wanted:
        raise InputError(
            f"`weights` must name one of {folder}'s files or variants: "
            f"{', '.join(variants)}. Received: weights={weights}."
        )
    if weights:
        wanted = {weights}
    else:
        averages = {v for v in wanted if v and state_dicts.is_average(v)}
        wanted = averages or ({""} if "" in wanted else wanted)
    if len(wanted) > 1:
        raise InputError(
            f"{folder} has several variants. Set `weights` to one of: "
            f"{', '.join(sorted(wanted))}."
        )
    (variant,) = wanted
    if not weights and state_dicts.is_raw(variant):
        raise InputError(
            f"{folder} has only raw weights. Set `weights` to {variant} to take them."
        )
    return min((name for name, v in variants.items() if v == variant), key=_rank)


def _rank(name: str) -> tuple[bool, bool]:
    """Whether a file comes later: of pickles, or an index of shards."""
    return ".bin" in name, name.endswith(".json")


def _note(variant: str, others: Iterable[str]) -> str:
    """Which weights a variant has, in words."""
    if variant:
        average = "EMA, " if state_dicts.is_average(variant) else ""
        raw = "raw, " if state_dicts.is_raw(variant) else ""
        return f"{average}{raw}variant {variant}"
    if raws := [other for other in others if state_dicts.is_raw(other)]:
        return f"EMA, because the variant {raws[0]} is beside them"
    return state_dicts.UNNAMED


def _opened(path: str, note: str) -> Tensors:
    tensors = tensor_files.named_tensors(path)
    # A file that says more than its name has its own note.
    known = tensors.note not in ("", state_dicts.UNNAMED)
    return tensors if known else tensors.noted(note)


def _shards(folder: str, index: str, note: str) -> Tensors:
    """The tensors of all files that an index names."""
    origin = os.path.join(folder, index)
    places = _places(json_file.read(origin), folder, origin)
    shards = {
        file: _opened(os.path.join(folder, file), note)
        for file in sorted(set(places.values()))
    }
    for name, file in places.items():
        if name not in shards[file].shapes:
            raise InputError(f"{origin} names {name} in {file}, which has none.")
    for file, shard in shards.items():
        if surplus := [name for name in shard.shapes if places.get(name) != file]:
            raise InputError(f"{origin} does not name {surplus[0]} of {file}.")
    shapes = {name: shards[file].shapes[name] for name, file in places.items()}
    return Tensors(origin, shapes, lambda n: shards[places[n]].read(n), note)


def _places(values: dict[str, Any], folder: str, origin: str) -> dict[str, str]:
    """The file of each tensor; every one lies in the folder."""
    places = values.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise InputError(f"{origin}: `weight_map` must be an object of file names.")
    for file in set(map(str, places.values())):
        plain = os.path.basename(file) == file and file not in ("", ".", "..")
        if not plain or not file.endswith((".safetensors", ".bin")):
            raise InputError(
                f"{origin} must name .safetensors or .bin files in its own folder. "
                f"Received: {file}."
            )
        if not tf.io.gfile.exists(os.path.join(folder, file)):
            raise InputError(f"{origin} names {file}, which is missing.")
    return {name: str(file) for name, file in places.items()}
