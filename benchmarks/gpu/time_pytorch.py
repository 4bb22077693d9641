"""Times diffusers' UNet2DModel in PyTorch on the work of the programs of export.py.

    python time_pytorch.py FOLDER RESULT [--match=REGEX] [--warm]

Eager and compiled, with channels-last tensors and TF32 convolutions. bfloat16 is
autocast and, for inference, also weights in bfloat16; the faster one counts. `--warm`
only fills the compiler's cache, so that several processes can compile at once.
"""

import argparse
import contextlib
import json
import pathlib
import re
import statistics
import time
from collections.abc import Callable

import diffusers
import torch

WAYS = ("eager", "compiled")


def device() -> str:
    """The type of the device."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Waits for all work on the device."""
    if device() == "cuda":
        torch.cuda.synchronize()


def work_of(values: dict, case: dict, how: str, cast: bool) -> Callable[[], object]:
    """A call of the network, or the loss and the gradients of a student.

    Args:
        values: the config of `UNet2DModel`.
        case: the description of a program.
        how: one of `WAYS`.
        cast: whether weights are bfloat16; otherwise bfloat16 means autocast.
    """
    torch.manual_seed(0)
    config = {k: v for k, v in values.items() if not k.startswith("_")}
    model = diffusers.UNet2DModel(**{**config, "dropout": 0.0})
    half = case["dtype"] == "bfloat16"
    model = model.to(device(), memory_format=torch.channels_last)
    size, channels = config["sample_size"], config["in_channels"]
    z = torch.randn(case["images"], channels, size, size, device=device())
    z = z.contiguous(memory_format=torch.channels_last)
    if cast:
        model, z = model.to(torch.bfloat16), z.to(torch.bfloat16)
    t = torch.full((case["images"],), 999, device=device())
    network = torch.compile(model) if how == "compiled" else model
    autocast = contextlib.nullcontext()
    if half and not cast:
        autocast = torch.autocast(device(), torch.bfloat16)

    def infer():
        with torch.no_grad(), autocast:
            return network(z, t).sample

    def step():
        model.zero_grad(set_to_none=True)
        with autocast:
            loss = (network(z, t).sample - z).abs().sum() / len(z)
        loss.backward()
        return loss

    return infer if case["work"] == "inference" else step


def seconds(call: Callable[[], object], rounds: int) -> float:
    """The median over rounds of the mean time of queued calls."""
    for _ in range(3):
        call()
    wait()
    start = time.perf_counter()
    call()
    wait()
    calls = max(1, min(50, round(0.2 / (time.perf_counter() - start))))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        wait()
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times)


def measure(values: dict, case: dict, warm: bool, rounds: int) -> dict:
    """The times of a case in milliseconds, by the way of running it."""
    casts = [False]
    if case["work"] == "inference" and case["dtype"] == "bfloat16":
        casts.append(True)
    times = {}
    for how in WAYS:
        if warm and how == "eager":
            continue
        for cast in casts:
            call = work_of(values, case, how, cast)
            if warm:
                call()
                wait()
                continue
            found = 1e3 * seconds(call, rounds)
            times[how] = min(found, times.get(how, found))
            del call
            torch._dynamo.reset()
            if device() == "cuda":
                torch.cuda.empty_cache()
    name = case["name"].removesuffix("-fused")
    return {"name": name, "images": case["images"], **times}


def main() -> None:
    """Measures all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--match", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = not options.warm
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    content = json.loads((options.folder / "programs.json").read_text())
    rows = []
    for case in content["programs"]:
        if case["how"] != "fused" or case["work"] == "matching":
            continue
        if not re.search(options.match, case["name"]):
            continue
        values = content["unets"][case["network"]]
        try:
            row = measure(values, case, options.warm, options.rounds)
        except Exception as problem:  # The other cases still count.
            print(f"{case['name']}: {str(problem)[:400]}", flush=True)
            continue
        if options.warm:
            continue
        rows.append(row)
        print(row, flush=True)
        options.result.write_text(
            json.dumps({"torch": torch.__version__, "rows": rows})
        )


if __name__ == "__main__":
    main()
