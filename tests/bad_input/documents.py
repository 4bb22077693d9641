"""Damaged variants of every document that commands read."""

import io
import itertools
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bad_input.many_runs import BadInput

# None of these is a JSON object.
NO_OBJECTS = (
    b"",
    b"{",
    b"[]",
    b"1",
    b"null",
    b'"text"',
    b"NaN",
    b"true",
    b"\xff\xfe\x00",
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5000,
    b'{"a": ' + b"9" * 5000 + b"}",
    b"\x1b[31m{}",
    b"{}{}",
    b"{}",
)
_VALUES: tuple[Any, ...] = (
    None,
    [],
    {},
    "two\nlines \x1b[31m",
    "../../a",
    "x" * 5000,
    -1,
    10**30,
    float("inf"),
    float("nan"),
    True,
    1.5,
    [[[1]]],
    {"a": {"b": [None]}},
)


def whole(valid: dict[str, Any]) -> Iterator[bytes]:
    """Files without the object that a document is, or with a part of it."""
    text = json.dumps(valid).encode()
    yield from NO_OBJECTS
    yield from (text[: len(text) // 2], text[:-1], text.decode().encode("utf-16"))
    yield b"[" + text + b"]"


def fields(valid: dict[str, Any]) -> Iterator[bytes]:
    """The document with one key, or one key of an object in it, that is wrong."""
    for path in _keys(valid):
        for value in _VALUES:
            yield _with(valid, path, value)
    yield json.dumps({**valid, "no\nsuch \x1b[31mkey": 1}).encode()
    for name, value in valid.items():
        yield json.dumps({k: v for k, v in valid.items() if k != name}).encode()
        if isinstance(value, dict):
            yield _with(valid, (name, "no\nsuch \x1b[31mkey"), 1)


def _keys(valid: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in valid.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, inner) for inner in value)


def _with(valid: dict[str, Any], path: tuple[str, ...], value: Any) -> bytes:
    copy = json.loads(json.dumps(valid))
    target = copy
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return json.dumps(copy).encode()


def archives(valid: bytes) -> Iterator[bytes]:
    """Zip files that are damaged, encrypted, empty, or have other content."""
    yield from (b"", b"PK", b"text", valid[:100], valid[: len(valid) // 2], valid[:-30])
    yield valid[: len(valid) // 2] + bytes(200) + valid[len(valid) // 2 + 200 :]
    yield encrypted(valid)
    for names in ((), ("../a", "/a/b"), ("config.json",), ("model.weights.h5",)):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name in names:
                archive.writestr(name, "two\nlines \x1b[31m")
        yield content.getvalue()


def encrypted(archive: bytes) -> bytes:
    """A zip file whose entries claim to be encrypted."""
    changed = bytearray(archive)
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = changed.find(signature)
        while start >= 0:
            changed[start + offset] |= 1
            start = changed.find(signature, start + 1)
    return bytes(changed)


def arrays() -> Iterator[bytes]:
    """`.npz` files that are no images."""
    images = np.zeros([4, 8, 8, 1], np.uint8)
    yield from archives(_npz(images=images))
    yield _npz(images=np.array([{"a": 1}, None], object))
    yield _npz(images=np.full([4, 8, 8, 1], np.nan, np.float32))
    yield _npz(images=images[0, 0, 0])
    yield _npz(images=images[:0])
    yield _npz(images=np.array(["two\nlines"] * 4))
    yield _npz(images=images[..., 0].astype(np.complex64))
    yield _npz(**{"two\nlines \x1b[31m": np.zeros(3, "M8[s]")})
    header = io.BytesIO()
    values = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**6)}
    np.lib.format.write_array_header_1_0(header, values)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    yield content.getvalue()


def _npz(**values: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **values)
    return content.getvalue()


def written(
    root: Path,
    place: str,
    contents: Iterable[bytes],
    readers: Iterable[tuple[str, ...]],
    *names: str,
) -> list[BadInput]:
    """Writes each content to a folder of its own, and lets one command read it.

    Args:
        root: the folder of all inputs.
        place: path of the document in a folder, `{here}` in the command lines.
        contents: of the documents.
        readers: command lines, which take turns.
        *names: of which a message has one.
    """
    found, base = [], root / "documents"
    base.mkdir(exist_ok=True)
    for content, line in zip(contents, itertools.cycle(readers), strict=False):
        here = base / str(len(list(base.iterdir())))
        (here / place).parent.mkdir(parents=True)
        (here / place).write_bytes(content)
        arguments = tuple(word.replace("{here}", str(here)) for word in line)
        found.append(BadInput(arguments, names))
    return found
