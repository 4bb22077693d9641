"""Compiles, checks and times the programs of export.py in JAX's runtime.

    python time_programs.py FOLDER LIBRARY RESULT [--platform=gpu] [--match=REGEX]

LIBRARY has the op's FFI handlers. The results of each fused program are compared with
those of its stock twin on the same random values, and the two take turns in the
timings. Needs JAX and NumPy only. Exits with code 1 if results differ, or if programs
do not compile in `--deadline` seconds. `--after=FILE` waits with the timings until FILE
exists, so that other work can use the GPU while the programs are compiled.
"""

import argparse
import concurrent.futures
import ctypes
import gzip
import hashlib
import json
import os
import pathlib
import re
import statistics
import sys
import time
from collections.abc import Iterator

import jax
import numpy as np
from jax._src.lib import xla_client  # Programs that JAX did not trace: no public way.
from jax.extend import backend

HANDLERS = (
    "GroupNormSilu",
    "GroupNormSiluGrad",
    "BiasGroupNormSilu",
    "BiasGroupNormSiluGrad",
)
# Largest relative error of an output. Convolutions multiply in TF32 on GPUs, and the
# gradient of the L1 loss is a sign, which a rounding error can change.
TOLERANCES = {"float32": 0.03, "bfloat16": 0.15}


def register(library: str, platform: str) -> None:
    """Makes the op's handlers known to XLA."""
    symbols = ctypes.CDLL(library)
    suffix = "Cuda" if platform == "gpu" else "Host"
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(symbols, f"TfStudent{name}{suffix}"))
        target = "tf_student." + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        where = "CUDA" if platform == "gpu" else "cpu"
        jax.ffi.register_ffi_target(target, handler, platform=where)


def draw(name: str, shape: list[int], dtype: str) -> np.ndarray:
    """A random argument, which depends on its name."""
    digest = hashlib.sha256(name.encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    if dtype == "uint8":
        return random.integers(0, 256, shape, np.uint8)
    if dtype == "int32":
        return np.arange(1, 1 + np.prod(shape), dtype=np.int32).reshape(shape)
    values = random.standard_normal(shape, np.float32)
    if name == "z":
        return values
    if len(shape) == 1:
        return 0.5 + 0.1 * values
    return values / np.sqrt(np.prod(shape[:-1]))


class Runner:
    """Compiles and runs programs on one device."""

    def __init__(self, folder: pathlib.Path, platform: str):
        self._folder = folder
        self._client = backend.get_backend(platform)
        self._device = self._client.devices()[0]
        self.device = self._device.device_kind

    def compile(self, program: dict):
        """The executable of a program, and the seconds that its compilation took."""
        start = time.perf_counter()
        text = gzip.decompress((self._folder / program["file"]).read_bytes()).decode()
        devices = xla_client.DeviceList((self._device,))
        options = xla_client.CompileOptions()
        return self._client.compile_and_load(text, devices, options), (
            time.perf_counter() - start
        )

    def arguments(self, program: dict) -> list[jax.Array]:
        """Random arguments on the device; equal names give equal values."""
        return [
            jax.device_put(draw(**argument), self._device)
            for argument in program["arguments"]
        ]


def run(executable, arguments) -> list[jax.Array]:
    """The results of a program, when they are ready."""
    return jax.block_until_ready(executable.execute(arguments))


def seconds(executable, arguments, calls: int) -> float:
    """The time of a call, as the mean of some that are queued."""
    start = time.perf_counter()
    for _ in range(calls):
        results = executable.execute(arguments)
    jax.block_until_ready(results)
    return (time.perf_counter() - start) / calls


def error(got: list, want: list) -> float:
    """The largest relative difference of an output, in the 2-norm."""
    largest = 0.0
    for a, b in zip(got, want, strict=True):
        a, b = (np.asarray(x, np.float64) for x in (a, b))
        largest = max(largest, np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))
        if not np.isfinite(a).all():
            return float("nan")
    return float(largest)


def measure(runner: Runner, pair: dict, rounds: int) -> dict:
    """Checks a fused program against its stock twin, and times both in turns."""
    program = pair["fused"]["program"]
    arguments = {
        how: runner.arguments(pair[how]["program"]) for how in ("fused", "stock")
    }
    executables = {how: pair[how]["executable"] for how in arguments}
    results = {how: run(executables[how], arguments[how]) for how in arguments}
    # The order of the results is that of the network's variables in both.
    largest = error(results["fused"], results["stock"])
    repeated = run(executables["fused"], arguments["fused"])
    same = all(
        np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
        for a, b in zip(results["fused"], repeated, strict=True)
    )
    del results, repeated
    once = seconds(executables["fused"], arguments["fused"], 2)
    calls = max(1, min(50, round(0.2 / once)))
    times = {how: [] for how in arguments}
    for _ in range(rounds):
        for how in arguments:
            times[how].append(seconds(executables[how], arguments[how], calls))
    found = {how: statistics.median(values) for how, values in times.items()}
    return {
        "name": program["name"].removesuffix("-fused"),
        "images": program["images"],
        "fused_ms": 1e3 * found["fused"],
        "stock_ms": 1e3 * found["stock"],
        "spread": max(times["fused"]) / min(times["fused"]),
        "error": largest,
        "correct": largest <= TOLERANCES[program["dtype"]],
        "repeats_bit_for_bit": same,
        "compile_s": [pair[how]["seconds"] for how in ("fused", "stock")],
    }


def pairs(programs: list[dict], match: str) -> list[dict]:
    """Fused programs with their stock twins."""
    by_name = {p["name"]: p for p in programs if re.search(match, p["name"])}
    return [
        {"fused": p, "stock": by_name[name.removesuffix("fused") + "stock"]}
        for name, p in by_name.items()
        if p["how"] == "fused"
    ]


def compile_all(
    runner: Runner, waiting: list[dict], threads: int, deadline: float
) -> Iterator[dict]:
    """Compiles programs in parallel; yields the pairs that are ready in time.

    All are compiled before the first one is timed.
    """
    start = time.perf_counter()
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    futures = [
        {how: pool.submit(runner.compile, program) for how, program in pair.items()}
        for pair in waiting
    ]
    concurrent.futures.wait(
        [each for future in futures for each in future.values()], deadline
    )
    pool.shutdown(wait=False, cancel_futures=True)
    print(f"compiled in {time.perf_counter() - start:.0f} s", flush=True)
    for pair, future in zip(waiting, futures, strict=True):
        try:
            compiled = {how: each.result(0) for how, each in future.items()}
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            print(f"{pair['fused']['name']}: not compiled in time", flush=True)
            continue
        except Exception as problem:  # Whatever XLA raises, the others still count.
            print(f"{pair['fused']['name']}: {str(problem)[:400]}", flush=True)
            continue
        yield {
            how: {"program": pair[how], "executable": e, "seconds": s}
            for how, (e, s) in compiled.items()
        }


def describe(row: dict) -> str:
    """A line of the table."""
    return (
        f"{row['name']:34} {row['images']:4} images: fused {row['fused_ms']:8.2f} "
        f"ms, stock {row['stock_ms']:8.2f} ms, error {row['error']:.1e}"
        f"{'' if row['correct'] else ' WRONG'}"
        f"{'' if row['repeats_bit_for_bit'] else ', differs from run to run'}"
    )


def main() -> None:
    """Compiles all programs in parallel, then measures one pair after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("library")
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--platform", default="gpu")
    parser.add_argument("--match", default="")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--deadline", type=float, default=1e9)
    parser.add_argument("--after", type=pathlib.Path)
    options = parser.parse_args()
    register(options.library, options.platform)
    runner = Runner(options.folder, options.platform)
    content = json.loads((options.folder / "programs.json").read_text())
    waiting = pairs(content["programs"], options.match)
    print(f"{len(waiting)} pairs of programs on {runner.device}", flush=True)
    rows = []
    for pair in compile_all(runner, waiting, options.threads, options.deadline):
        while options.after and not options.after.exists():
            time.sleep(0.5)
        row = measure(runner, pair, options.rounds)
        rows.append(row)
        print(describe(row), flush=True)
        result = {"device": runner.device, "jax": jax.__version__, "rows": rows}
        options.result.write_text(json.dumps(result))
    sys.stdout.flush()
    # An ordinary exit would wait for the programs that are still being compiled.
    os._exit(len(rows) < len(waiting) or not all(row["correct"] for row in rows))


if __name__ == "__main__":
    main()
