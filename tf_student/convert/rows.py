"""Tables that map the tensors of published networks to our variables."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tf_student.runtime.errors import InputError

Shape = tuple[int, ...]

# Limits on the shape of a tensor: convolutions have four dimensions.
_DIMENSIONS, _LARGEST = 8, 2**24


@dataclasses.dataclass(frozen=True)
class Tensors:
    """The named arrays of a file, read one at a time.

    Attributes:
        origin: the file, for messages.
        shapes: shape of each array by name.
        read: returns the array of a name.
        note: which of the source's weights they are, in words.
        buffers: names of arrays that `read` knows too, but which are no weights.

    Raises:
        InputError: if a shape is none that a network has.
    """

    origin: str
    shapes: Mapping[str, Shape]
    read: Callable[[str], np.ndarray]
    note: str = ""
    buffers: tuple[str, ...] = ()

    def __post_init__(self):
        for name, shape in self.shapes.items():
            if len(shape) > _DIMENSIONS or any(n >= _LARGEST for n in shape):
                raise InputError(
                    f"{self.origin} must hold the weights of a network. "
                    f"Received: {name} of shape {shape}."
                )

    def renamed(self, rename: Callable[[str], str | None]) -> "Tensors":
        """The same arrays under new names, without those whose new name is None."""
        new_names = {name: rename(name) for name in self.shapes}
        old = {new: name for name, new in new_names.items() if new is not None}
        shapes = {new: self.shapes[name] for new, name in old.items()}

        def read(new: str) -> np.ndarray:
            return self.read(old.get(new, new))

        return dataclasses.replace(self, shapes=shapes, read=read)

    def noted(self, note: str) -> "Tensors":
        """The same arrays with another note."""
        return dataclasses.replace(self, note=note)


@dataclasses.dataclass(frozen=True)
class Row:
    """The tensors that make up one of our variables.

    Attributes:
        ours: path of the variable.
        theirs: names of the tensors, which are concatenated along our last axis.
        transposed: whether the tensors are in PyTorch's layout, `[out, in, ...]`.
        interleaved: number of heads, if the outputs are q, k and v of the first head,
            then of the second, and so on; 0 if they are in our order, all q first.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    interleaved: int = 0


def apply(
    rows: list[Row], tensors: Tensors, variables: Mapping[str, Shape]
) -> Iterator[tuple[str, np.ndarray]]:
    """The path and float32 value of every variable, one at a time.

    Args:
        rows: the table.
        tensors: the published tensors.
        variables: shape of each of our variables by path.

    Raises:
        InputError: before anything is read, unless every variable and every tensor is
            in the table exactly once and the shapes agree. While reading, if a value
            is not finite.
    """
    check(rows, tensors, variables)
    return _values(rows, tensors, variables)


def _values(rows, tensors, variables):
    for row in rows:
        parts = [_to_ours(tensors.read(name), row) for name in row.theirs]
        joined = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        joined = np.asarray(joined, np.float32)
        if not np.isfinite(joined).all():
            names = ", ".join(row.theirs)
            raise InputError(
                f"{tensors.origin} has values that are not finite: {names}."
            )
        yield row.ours, joined.reshape(variables[row.ours])


def revert(rows: list[Row], read: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `apply`: their tensors by name, from our variables."""
    theirs = {}
    for row in rows:
        for name, part in zip(
            row.theirs, np.split(read(row.ours), len(row.theirs), axis=-1), strict=True
        ):
            if row.transposed and part.ndim > 1:
                part = part.transpose(
                    part.ndim - 1, part.ndim - 2, *range(part.ndim - 2)
                )
            theirs[name] = np.ascontiguousarray(part)
    return theirs


def _to_ours(array: np.ndarray, row: Row) -> np.ndarray:
    if row.transposed and array.ndim > 1:
        array = array.transpose(*range(2, array.ndim), 1, 0)
    if row.interleaved and array.shape[-1] % (3 * row.interleaved) == 0:
        outside, outputs = array.shape[:-1], array.shape[-1]
        size = outputs // (3 * row.interleaved)
        by_head = array.reshape(*outside, row.interleaved, 3, size)
        array = by_head.swapaxes(-3, -2).reshape(*outside, outputs)
    return array


def check(rows: list[Row], tensors: Tensors, variables: Mapping[str, Shape]) -> None:
    """Raises the first `InputError` of `apply`, without reading the tensors."""
    named = [name for row in rows for name in row.theirs]
    assert len(set(named)) == len(named)
    ours = {row.ours for row in rows}
    if unknown := sorted(ours ^ set(variables)):
        raise InputError(
            f"{tensors.origin} has a layout without: {_first(unknown)}. Its networks "
            "have none of the options that need them."
        )
    faults = []
    if missing := [name for name in named if name not in tensors.shapes]:
        faults.append(f"missing: {_first(missing)}")
    if surplus := sorted(set(tensors.shapes) - set(named)):
        faults.append(f"unexpected: {_first(surplus)}")
    wrong = [
        f"{', '.join(row.theirs)} {received} for {row.ours} {variables[row.ours]}"
        for row in rows
        if not set(row.theirs) & set(missing)
        for received in [_shape(row, tensors.shapes)]
        if not _same(received, variables[row.ours])
    ]
    if wrong:
        faults.append(f"wrong shape: {_first(wrong)}")
    if faults:
        raise InputError(
            f"{tensors.origin} does not fit the network; {'; '.join(faults)}."
        )


def _shape(row: Row, shapes: Mapping[str, Shape]) -> Shape:
    """The shape of a row's variable, computed without reading its tensors."""
    parts = [
        _to_ours(np.broadcast_to(np.float32(0), shapes[name]), row).shape
        for name in row.theirs
    ]
    return (*parts[0][:-1], sum(part[-1] for part in parts)) if parts[0] else ()


def _same(received: Shape, expected: Shape) -> bool:
    """Whether the shapes agree; a convolution of size 1 is equal to a dense layer."""

    def trimmed(shape: Shape) -> Shape:
        return shape[-2:] if set(shape[:-2]) == {1} else shape

    return trimmed(received) == trimmed(expected)


def _first(faults: list[str]) -> str:
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return ", ".join(faults[:3]) + more
