"""Lists the weights in an HDF5 file of Keras. It runs as a process of its own.

    python h5_index.py FILE

The HDF5 library may crash, loop or fill the memory on a damaged file. Here it only
reads where the weights are, within limits of time and memory, and writes a JSON object:
`layers`, a list of `[shape, type, first byte]` for each weight of each layer; or
`error`, why there is none.
"""

import json
import resource
import sys
from typing import Any

_SECONDS = 5
_MEMORY = 256 * 2**20
_LAYERS, _WEIGHTS = 10_000, 100_000


def main(path: str) -> None:
    """Writes the index of a file to stdout."""
    import h5py

    try:
        _limit()
        with h5py.File(path, "r") as file:
            answer: dict[str, Any] = {"layers": index(file)}
    # Damaged files raise errors of nearly every type.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        answer = {"error": lines[0][:200]}
    json.dump(answer, sys.stdout)


def _limit() -> None:
    """Limits what the rest of the process may use."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + _SECONDS
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_DATA, _MEMORY),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
        except (ValueError, OSError):
            # Not on every system, or a stricter limit is set.
            pass


def index(file: Any) -> list[list[list[Any]]]:
    """The places of the weights of each layer.

    Args:
        file: an open `h5py.File`.

    Raises:
        Exception: of nearly every type, if it is not a file of Keras' weights.
    """
    if file.userblock_size:
        raise ValueError("it begins with a user block")
    layers, count = [], 0
    for layer in _attribute(file, "layer_names", _LAYERS):
        names = _attribute(file[layer], "weight_names", _WEIGHTS)
        count += len(names)
        if count > _WEIGHTS:
            raise ValueError(f"it has more than {_WEIGHTS:,} weights")
        layers.append([_place(file[layer][name], name) for name in names])
    return layers


def _place(weight: Any, name: str) -> list[Any]:
    offset = weight.id.get_offset()
    if offset is None:
        raise ValueError(f"{name} is compressed or not stored in one piece")
    return [[int(n) for n in weight.shape], weight.dtype.str, int(offset)]


def _attribute(group: Any, name: str, most: int) -> list[str]:
    """A list of strings, which Keras splits if it is too long for HDF5."""
    if name in group.attrs:
        words = list(group.attrs[name])
    else:
        words, part = [], 0
        while f"{name}{part}" in group.attrs and len(words) <= most:
            words += list(group.attrs[f"{name}{part}"])
            part += 1
        if not part:
            raise KeyError(f"no attribute {name}")
    if len(words) > most:
        raise ValueError(f"{name} has more than {most:,} entries")
    return [w.decode() if isinstance(w, bytes) else str(w) for w in words]


if __name__ == "__main__":
    main(sys.argv[1])
