"""Measures ratios, writes them to a file, and compares two such files.

    python benchmarks/run.py RESULT.json [--all]
    python benchmarks/run.py --compare OLD.json NEW.json [--tolerance=0.15]

A ratio is this project's time, or memory, as a part of a peer's in the same run: lower
is better. The file also has the machine and the versions. The default takes about three
minutes; `--all` adds CIFAR-10's network and, if PyTorch and diffusers are installed,
the comparison with them.

Measuring exits with code 1 if a ratio is far off, above its `limit`. Comparing exits
with code 1 if a ratio has risen by more than the tolerance.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import pathlib
import platform
import sys

import peers

PACKAGES = ("tf-student", "tensorflow", "keras", "numpy", "torch", "diffusers")


@dataclasses.dataclass(frozen=True)
class Ratio:
    """This project's time or memory as a part of a peer's.

    Attributes:
        value: the ratio.
        limit: a value that no machine exceeds unless something is broken.
    """

    value: float
    limit: float


def op(everything: bool) -> dict[str, Ratio]:
    """The fused op beside Keras' layer and PyTorch."""
    import group_norm_silu

    names = "keras,pytorch" if everything else "keras"
    shapes = len(group_norm_silu.SHAPES) if everything else 2
    found = group_norm_silu.compare(names, shapes, rounds=7)
    return {
        f"op, {passes}, to {peer}": Ratio(1 / times, 0.5 if peer == "keras" else 1.5)
        for (passes, peer), times in found.items()
    }


def training(everything: bool) -> dict[str, Ratio]:
    """A student's training step with the fused op beside one without it."""
    import training_step

    cases = training_step.CASES if everything else training_step.CASES[:1]
    return {
        f"training step, {case[0]}, to the formula": Ratio(
            1 / training_step.measure(*case, rounds=5, xla=False), 1.2
        )
        for case in cases
    }


def matching(everything: bool) -> dict[str, Ratio]:
    """A step of distribution matching beside a step of regression."""
    import matching_step

    limits = {"sid": 5.0, "dmd": 4.0}
    cases = [("digits", 128), ("cifar10", 8)] if everything else [("digits", 128)]
    return {
        f"matching step, {name}, {objective}, to regression": Ratio(
            value, limits[objective]
        )
        for name, images in cases
        for objective, value in matching_step.measure(name, images, rounds=5).items()
    }


def generation(everything: bool) -> dict[str, Ratio]:
    """A student's images beside one call of its teacher and all calls."""
    import student_against_teacher

    ratios = {}
    for name in ("digits", "cifar10") if everything else ("digits",):
        rounds = 15 if name == "digits" else 1
        one, all_calls = student_against_teacher.measure(name, 64, rounds)
        ratios[f"student, {name}, to one teacher call"] = Ratio(one, 1.5)
        ratios[f"student, {name}, to the teacher's sampler"] = Ratio(all_calls, 0.2)
    return ratios


def pytorch(everything: bool) -> dict[str, Ratio]:
    """The networks beside diffusers' in PyTorch."""
    needed = ("torch", "diffusers")
    if not everything or not all(map(importlib.util.find_spec, needed)):
        return {}
    import unet_against_pytorch

    ratios = {}
    for name in unet_against_pytorch.CASES:
        time, memory = unet_against_pytorch.measure(name, rounds=5)
        ratios[f"{name}, time, to PyTorch"] = Ratio(time, 1.5)
        ratios[f"{name}, memory, to PyTorch"] = Ratio(memory, 2.0)
    return ratios


GROUPS = (generation, op, training, matching, pytorch)


def versions() -> dict[str, str]:
    """The versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def measure(path: pathlib.Path, everything: bool) -> bool:
    """Writes all ratios; returns whether all are within their limits."""
    machine = peers.cpu()
    print(machine, flush=True)
    ratios: dict[str, Ratio] = {}
    for group in GROUPS:
        print(f"\n== {group.__doc__}", flush=True)
        ratios |= group(everything)
    content = {
        "machine": machine,
        "versions": versions(),
        "ratios": {name: dataclasses.asdict(ratio) for name, ratio in ratios.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"\n== Ratios to the peers, in {path}")
    for name, ratio in ratios.items():
        far = f"  FAR OFF: above {ratio.limit}" if ratio.value > ratio.limit else ""
        print(f"{name:50} {ratio.value:7.3f}{far}")
    return all(ratio.value <= ratio.limit for ratio in ratios.values())


def read(path: pathlib.Path) -> dict:
    """Reads a file of `measure`."""
    try:
        content = json.loads(path.read_text())
        ratios = {k: Ratio(**v) for k, v in content["ratios"].items()}
        described = {key: content[key] for key in ("machine", "versions")}
        return {**described, "ratios": ratios}
    except (OSError, ValueError, TypeError, KeyError) as problem:
        sys.exit(f"run.py: {path} is not a file of results: {problem}")


def compare(old: dict, new: dict, tolerance: float) -> bool:
    """Prints all ratios side by side; returns whether none has risen too much."""
    for key in ("machine", "versions"):
        if old[key] != new[key]:
            print(f"different {key}:\n  {old[key]}\n  {new[key]}")
    good = True
    for name in sorted(old["ratios"].keys() | new["ratios"].keys()):
        pair = [content["ratios"].get(name) for content in (old, new)]
        if None in pair:
            where = "first" if pair[1] is None else "second"
            print(f"{name:50} only in the {where} file")
            continue
        before, after = (ratio.value for ratio in pair)
        worse = after > before * (1 + tolerance)
        good = good and not worse
        change = f"{100 * (after / before - 1):+6.1f} %{'  WORSE' if worse else ''}"
        print(f"{name:50} {before:7.3f} {after:7.3f} {change}")
    return good


def main() -> None:
    """Measures, or compares two files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", nargs="?", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--compare", nargs=2, type=pathlib.Path, metavar=("OLD", "NEW"))
    parser.add_argument("--tolerance", type=float, default=0.15)
    options = parser.parse_args()
    if bool(options.result) == bool(options.compare):
        parser.error("give either a file to write or --compare with two files")
    if options.compare:
        old, new = map(read, options.compare)
        sys.exit(not compare(old, new, options.tolerance))
    sys.exit(not measure(options.result, options.all))


if __name__ == "__main__":
    main()
