"""Which of the networks of a PyTorch file is read: the EMA weights, or a question.

A training checkpoint may hold a network and the moving average of its weights, under
keys that differ from script to script, with the prefixes of wrappers before the names.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tf_student.convert import families
from tf_student.convert.rows import Tensors
from tf_student.convert.torch_pickle import Foreign, TensorPlace
from tf_student.runtime.errors import InputError

# The first layer of each layout; what comes before it is a prefix.
_FIRST_LAYERS = ("conv_in.weight", "input_blocks.0.0.weight")
_WRAPPERS = re.compile(r"^(?:(?:module|_orig_mod|model)\.)+")
# Keys of moving averages: `ema`, `model_ema`, `ModelEMA`, `shadow_params`, ...
_AVERAGE = re.compile(r"(?<![a-z])ema|EMA|averag|shadow")
_NOT_AVERAGE = re.compile(r"(?<![a-zA-Z])(?:non|no|without|wo)[_-]?ema", re.IGNORECASE)
_OPTIMIZER = re.compile(r"opt|scaler|sched", re.IGNORECASE)
# Tensors of the forward process and of counters, which are no weights.
_BUFFERS = re.compile(
    r"betas|(?:sqrt_|log_)?(?:recip_|recipm1_|one_minus_)?(?:one_minus_)?alphas\w*"
    r"|posterior_\w+|p2_loss_weight|loss_weight|logvar|lvlb_weights|snr"
    r"|num_batches_tracked|decay|num_updates|n_averaged|initted|step"
)
# What an average keeps while a network is evaluated: not the average itself.
_SET_ASIDE = re.compile(r"collected|backup|stored")
# Objects of these packages are no networks.
_PLAIN = ("_codecs.", "argparse.", "builtins.", "collections.", "numpy.", "pathlib.")
# Limits on what is looked at: real files have a few networks below few keys.
_DEPTH, _CONTAINERS, _NETWORKS, _NAME = 4, 20_000, 32, 1000
# How a network without a key is called.
_TOP = "top"
# The note of weights whose file does not say what they are.
UNNAMED = "the only ones; the file does not say whether they are EMA weights"


@dataclasses.dataclass(frozen=True)
class Network:
    """The tensors of a network in a file.

    Attributes:
        key: where they are, such as `state_dict.model_ema`; empty at the top.
        tensors: the weights by name, without prefixes.
        buffers: other tensors beside them.
        note: which weights they are, in words.
    """

    key: str
    tensors: dict[str, TensorPlace]
    buffers: dict[str, TensorPlace] = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def is_average(self) -> bool:
        """Whether the key says that these are EMA weights."""
        return is_average(self.key)

    def opened(self, origin: str, read: Callable[[str], np.ndarray]) -> Tensors:
        """The tensors, which `read` reads by their names."""
        shapes = {name: place.shape for name, place in self.tensors.items()}
        return Tensors(origin, shapes, read, self.note, tuple(self.buffers))


def is_average(name: str) -> bool:
    """Whether a key, a folder or a file is named after EMA weights."""
    return bool(_AVERAGE.search(_NOT_AVERAGE.sub("", name)))


def is_raw(name: str) -> bool:
    """Whether a file is named after weights that are not averaged."""
    return bool(_NOT_AVERAGE.search(name))


def choose(content: Any, origin: str, weights: str = "") -> Network:
    """The network of a file that is read.

    Args:
        content: what the file's pickle holds.
        origin: the file, for messages.
        weights: the key of the network; empty for the EMA weights, or for the only
            network of a file without any.

    Raises:
        InputError: if there is none, if it is not clear which one to take, or if there
            is no such key.
    """
    found = list(_networks(content))
    if not found:
        raise InputError(
            f"{origin} must hold a state dict of tensors{_instead(content)}."
        )
    families.refuse((name for network in found for name in network.tensors), origin)
    is_ddim = _is_ddim(content, found)
    found += _shadows(content, found)
    if weights:
        return _named(found, origin, weights)
    averages = [network for network in found if network.is_average]
    if is_ddim:
        averages = found[1:]
    if len(averages) == 1:
        note = f"EMA, key {averages[0].key}"
        return dataclasses.replace(averages[0], note=note)
    unread = [] if averages else list(_unread_averages(content))
    if len(found) == 1 and not unread:
        return dataclasses.replace(found[0], note=UNNAMED)
    keys = ", ".join(network.key or _TOP for network in found)
    if unread:
        raise InputError(
            f"{origin} has EMA weights that cannot be read: {', '.join(unread)}. Set "
            f"`weights` to take others: {keys}."
        )
    raise InputError(f"{origin} has several networks. Set `weights` to one of: {keys}.")


def _named(found: list[Network], origin: str, weights: str) -> Network:
    for network in found:
        if weights == (network.key or _TOP):
            average = "EMA, " if network.is_average else ""
            return dataclasses.replace(network, note=f"{average}key {weights}")
    keys = ", ".join(network.key or _TOP for network in found)
    raise InputError(
        f"`weights` must be a key of {origin}: {keys}. Received: weights={weights}."
    )


def _instead(content: Any) -> str:
    """What a file holds in place of a state dict."""
    for _, value in _walk(content):
        if isinstance(value, Foreign) and not value.name.startswith(_PLAIN):
            return f". Received: an object of {value.name}; save its state_dict()"
    return ""


def _is_ddim(content: Any, found: list[Network]) -> bool:
    """Whether it is DDIM's list: model, optimizer, epoch, step and EMA weights."""
    keys = [network.key.partition(".")[0] for network in found]
    return isinstance(content, list) and len(content) == 5 and keys == ["0", "4"]


def _networks(content: Any) -> Iterator[Network]:
    """The networks of a layout that is known; if there are none, all state dicts."""
    loose = []
    count = 0
    for key, value in _walk(content):
        tensors = _tensors(value)
        prefixes = _prefixes(tensors)
        count += len(prefixes)
        if count > _NETWORKS:
            raise ValueError(f"it has more than {_NETWORKS} networks")
        if tensors and not prefixes:
            loose.append(_network(key, "", _without_wrappers(tensors)))
        # The longest prefix first, because a prefix may begin another.
        for prefix in prefixes:
            mine = {k: v for k, v in tensors.items() if k.startswith(prefix)}
            tensors = {k: v for k, v in tensors.items() if k not in mine}
            yield _network(key, prefix, mine)
    if not count:
        yield from (network for network in loose if network.tensors)


def _network(key: str, prefix: str, tensors: dict[str, TensorPlace]) -> Network:
    key = ".".join(part for part in (key, prefix.removesuffix(".")) if part)
    buffers = {
        name: place
        for name, place in tensors.items()
        if len(place.shape) < 2 and _BUFFERS.fullmatch(name.rpartition(".")[2])
    }
    return Network(
        key,
        {k.removeprefix(prefix): v for k, v in tensors.items() if k not in buffers},
        {name.rpartition(".")[2]: place for name, place in buffers.items()},
    )


def _without_wrappers(tensors: dict[str, TensorPlace]) -> dict[str, TensorPlace]:
    bare = {_WRAPPERS.sub("", name): place for name, place in tensors.items()}
    if len(bare) < len(tensors):
        raise ValueError("names are equal without the prefixes of wrappers")
    return bare


def _tensors(value: Any) -> dict[str, TensorPlace]:
    if not isinstance(value, dict):
        return {}
    tensors = {
        k: v
        for k, v in value.items()
        if isinstance(k, str) and isinstance(v, TensorPlace)
    }
    if any(len(name) > _NAME for name in tensors):
        raise ValueError(f"a name is longer than {_NAME:,} characters")
    return tensors


def _prefixes(tensors: dict[str, TensorPlace]) -> list[str]:
    """What comes before the names of each network of a known layout."""
    found = {
        name[: -len(first)]
        for name in tensors
        for first in _FIRST_LAYERS
        if name == first or name.endswith(f".{first}")
    }
    return sorted(found, key=lambda prefix: (-len(prefix), prefix))


def _walk(content: Any) -> Iterator[tuple[str, Any]]:
    """All containers and objects with their keys, outside of optimizers."""
    seen: set[int] = set()
    level = [("", content)]
    for _ in range(_DEPTH + 1):
        below: list[tuple[str, Any]] = []
        for key, value in level:
            if id(value) in seen:
                continue
            seen.add(id(value))
            if len(seen) > _CONTAINERS:
                raise ValueError(f"it has more than {_CONTAINERS:,} containers")
            yield key, value
            below += _parts(key, value)
        level = below


def _parts(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, list | tuple) else ()
    for name, part in items:
        if isinstance(part, dict | list | tuple | Foreign):
            name = str(name)[:_NAME]
            if not _OPTIMIZER.match(name):
                yield f"{key}.{name}" if key else name, part


def _shadows(content: Any, found: list[Network]) -> Iterator[Network]:
    """Lists of EMA weights without names, in the order of the only network's."""
    if len(found) != 1:
        return
    (network,) = found
    shapes = [place.shape for place in network.tensors.values()]
    for key, value in _walk(content):
        if not isinstance(value, list) or not is_average(key) or _SET_ASIDE.search(key):
            continue
        places = [v for v in value if isinstance(v, TensorPlace)]
        if len(places) == len(value) and [v.shape for v in places] == shapes:
            named = zip(network.tensors, places, strict=True)
            yield Network(key, dict(named), network.buffers)


def _unread_averages(content: Any) -> Iterator[str]:
    """Keys that are named after EMA weights, and hold something like weights."""
    found = set()
    for key, value in _walk(content):
        numpy = isinstance(value, Foreign) and value.name.startswith("numpy.")
        parts = value if isinstance(value, list | tuple) else ()
        tensors = any(isinstance(v, TensorPlace) and v.shape for v in parts)
        if is_average(key) and not numpy:
            if tensors or isinstance(value, Foreign) or _tensors(value):
                found.add(key)
        for name, place in _tensors(value).items():
            if place.shape and is_average(name):
                found.add(".".join(filter(None, (key, name.partition(".")[0]))))
    yield from sorted(found)[:5]
