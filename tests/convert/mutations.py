"""Damages files of published weights at random, and reads them.

    python -m tests.convert.mutations --kind=archive --count=20000

Whatever is in a file, reading it either works or raises an `InputError`. It does not
crash or hang, and takes at most 256 MiB more than the file has. A failure names the
seed that shows it again: `--first=SEED --count=1`.
"""

import argparse
import io
import json
import mmap
import os
import pathlib
import random
import signal
import struct
import sys
import tempfile
import time
import zipfile

from tests.convert import mutated_sources
from tf_student.runtime.errors import InputError

KINDS = ("archive", "stream", "safetensors", "h5", "config")
MEMORY = 256 * 2**20
# A reader of a small file takes some milliseconds.
SECONDS = 60
_NUMBERS = (
    0,
    1,
    2,
    127,
    255,
    256,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**64 - 1,
)
_VALUES = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**70, 10**4000, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), "", "0", "\ud800", "a\nb", "x" * 5000, [], {}),
    *([0], [1, 2, 3, 4, 5], [[1]], {"a": 1}, [None] * 9, ["../../etc/passwd"]),
)


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """A few random changes of bytes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 16, 64))
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                number = rng.choice(_NUMBERS) % 256**8
                width = rng.choice((1, 2, 4, 8))
                data[at : at + width] = struct.pack("<Q", number)[:width]
            case 2:
                del data[at : at + length]
            case 3:
                start = rng.randrange(len(data) + 1)
                data[at:at] = data[start : start + length]
            case 4:
                start = rng.randrange(len(data) + 1)
                data[at : at + length] = data[start : start + length]
            case _:
                if rng.random() < 0.2:
                    del data[at:]
    return bytes(data)


def damaged_json(rng: random.Random, text: str) -> bytes:
    """Random values in place of others; sometimes changes of the text."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(rng, value)
    if rng.random() < 0.05:
        value = rng.choice(_VALUES)
    try:
        content = json.dumps(value).encode()
    except ValueError:
        # The huge integer.
        content = text.replace("1", "1" * 5000, 1).encode()
    if rng.random() < 0.1:
        content = rng.choice((b"[" * 100_000, b'{"a":' * 500, content * 2, b"\xff\xfe"))
    return damaged_bytes(rng, content) if rng.random() < 0.3 else content


def _change(rng: random.Random, place) -> None:
    """Changes one value at a random place of a document."""
    is_object = isinstance(place, dict)
    key = rng.choice(list(place) if is_object else range(len(place)))
    inside = place[key]
    if isinstance(inside, dict | list) and inside and rng.random() < 0.7:
        return _change(rng, inside)
    match rng.randrange(3):
        case 0 if len(place) > 1:
            del place[key]
        case 1 if is_object:
            place[rng.choice(("a", "betas", "", "x" * 999))] = place.pop(key)
        case _:
            place[key] = rng.choice(_VALUES)


def damaged_archive(rng: random.Random, content: bytes) -> bytes:
    """A damaged archive, or an intact one of a damaged pickle."""
    if rng.random() < 0.3:
        # Its directory is at the end.
        cut = rng.choice((0, max(0, len(content) - 2000)))
        return content[:cut] + damaged_bytes(rng, content[cut:])
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w") as new,
    ):
        for name in old.namelist():
            part = old.read(name)
            is_damaged = name.endswith(".pkl") or rng.random() < 0.02
            new.writestr(name, damaged_bytes(rng, part) if is_damaged else part)
    return buffer.getvalue()


def damaged_head(rng: random.Random, content: bytes, length: int) -> bytes:
    """A file whose first bytes are damaged, where everything but the values is."""
    if rng.random() < 0.1:
        return damaged_bytes(rng, content)
    return damaged_bytes(rng, content[:length]) + content[length:]


def damaged(kind: str, seed: int, source: "mutated_sources.Source") -> bytes:
    """The damaged file of a seed."""
    rng = random.Random(f"{kind} {seed}")
    if kind == "archive":
        return damaged_archive(rng, source.content)
    if kind == "config":
        return damaged_json(rng, source.content.decode())
    if kind == "safetensors" and rng.random() < 0.5:
        header = damaged_json(rng, source.content[8 : source.head].decode())
        length = struct.pack("<Q", len(header))
        return length + header + source.content[source.head :]
    return damaged_head(rng, source.content, source.head)


def check(kind: str, seed: int, source: "mutated_sources.Source") -> None:
    """Reads the damaged file of a seed.

    Raises:
        AssertionError: if it takes too much memory.
        Exception: if the reader raises anything but an `InputError`.
    """
    content = damaged(kind, seed, source)
    source.path.write_bytes(content)
    _reset_peak()
    before = _peak()
    try:
        source.read()
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1100
    used = _peak() - before
    assert used < MEMORY + len(content), f"{used:,} bytes of memory"


def _reset_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The largest memory of this process since it was reset."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    raise AssertionError("no VmHWM")


def run(kind: str, first: int, count: int, folder: pathlib.Path) -> list[str]:
    """Checks seeds in processes of their own; returns what fails."""
    source = mutated_sources.make(kind, folder, in_process=True)
    source.read()
    end, failures = first + count, []
    current = mmap.mmap(-1, 8)
    while first < end:
        current[:] = struct.pack("<q", first)
        child = os.fork()
        if not child:
            _check_range(kind, first, end, source, current)
        status = _wait(child, current)
        seed = struct.unpack("<q", current[:])[0]
        if status:
            failures.append(f"{kind} {seed}: ended with status {status}")
            print(failures[-1], flush=True)
        first = seed + 1
    return failures


def _check_range(kind, first, end, source, current) -> None:
    for seed in range(first, end):
        current[:] = struct.pack("<q", seed)
        try:
            check(kind, seed, source)
        except BaseException as error:
            print(f"{kind} {seed}: {error!r}"[:500], flush=True)
            os._exit(1)
    os._exit(0)


def _wait(child: int, current: mmap.mmap) -> int:
    """The status of a child; one that stays at a seed is killed."""
    seed, since = current[:], time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if current[:] != seed:
            seed, since = current[:], time.monotonic()
        if time.monotonic() - since > SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        failures = run(options.kind, options.first, options.count, path)
    seconds = time.monotonic() - start
    print(f"{options.kind}: {options.count:,} files, {seconds:.0f} s")
    print(f"{len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
