"""The commands that `soak.py` disturbs, and what they leave, in comparable form."""

import dataclasses
import hashlib
import io
import json
import pathlib
import zipfile

import h5py
import tensorflow as tf

UNET = (
    "--base_width=8",
    "--width_multipliers=1,2",
    "--attention_resolutions=4",
    "--groups=4",
    "--blocks_per_level=1",
)
TRAIN = (
    "--batch_size=16",
    "--warmup_steps=2",
    "--decay_steps=0",
    "--log_every=2",
    "--checkpoint_every=2",
    "--evaluate_every=4",
    "--xla=off",
    "--deterministic",
)
SAMPLER = ("--calls=6", "--spacing=uniform", "--solver=ddim")
PAIRS = (
    "--pairs=1024",
    "--held_out_pairs=64",
    "--shard_pairs=64",
    *SAMPLER,
    "--device_batch=64",
    "--deterministic",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A command, or several that run at once and write to the same directory.

    Attributes:
        command: its name.
        flags: of all of them; `{done}` is the directory of an undisturbed run of all
            commands, `{work}` that of this one.
        needs: names of the cases whose results it reads.
        parts: further flags of each of them.
    """

    command: str
    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()
    parts: tuple[tuple[str, ...], ...] = ((),)

    def arguments(self, done: pathlib.Path, work: pathlib.Path) -> list[list[str]]:
        """The flags of each process."""
        flags = [flag.format(done=done, work=work) for flag in self.flags]
        return [[*flags, *part] for part in self.parts]


def _workers(count: int) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (f"--worker_index={i}", f"--num_workers={count}") for i in range(count)
    )


_TEACHER, _PAIRS = "--teacher_dir={done}/teacher", "--pairs_dir={done}/pairs"
_STUDENT = "--student_dir={done}/student"
_NETWORKS = ("--work_dir={work}", _TEACHER, _STUDENT)
_MAKE = ("--work_dir={work}", _TEACHER, *PAIRS)
_MEASURE = ("--samples=100", "--repeats=2", "--same_noise=16", *SAMPLER)

_MATCH = (
    "--steps=4",
    "--evaluate_every=2",
    "--regression=0.1",
    "--keep=fid",
    "--keep_samples=64",
    "--extractor=digits",
)

# In an order in which each finds what it needs.
CASES = {
    "teacher": Case(
        "teacher", ("--work_dir={work}", *UNET, *TRAIN, "--steps=12", "--calls=2")
    ),
    "pairs": Case("pairs", _MAKE, ("teacher",)),
    "distill": Case(
        "distill",
        ("--work_dir={work}", _TEACHER, _PAIRS, *TRAIN, "--steps=12"),
        ("teacher", "pairs"),
    ),
    "match": Case(
        "match",
        (*_NETWORKS, *TRAIN, _PAIRS, *_MATCH),
        ("teacher", "pairs", "distill"),
    ),
    "sample": Case(
        "sample",
        (*_NETWORKS, "--network=both", "--count=300", "--calls=3"),
        ("teacher", "distill"),
    ),
    "evaluate": Case(
        "evaluate",
        (*_NETWORKS, _PAIRS, *_MEASURE),
        ("teacher", "pairs", "distill"),
    ),
    "export": Case("export", ("--work_dir={work}", _STUDENT), ("distill",)),
    "convert to": Case(
        "convert", ("--from={done}/teacher", "--to={work}/diffusers"), ("teacher",)
    ),
    "convert from": Case(
        "convert", ("--from={done}/diffusers", "--to={work}/converted"), ("convert to",)
    ),
    "pairs of 2 workers": Case("pairs", _MAKE, ("pairs",), _workers(2)),
    "pairs of 4 workers": Case("pairs", _MAKE, ("pairs",), _workers(4)),
    "pairs by Beam": Case("pairs", (*_MAKE, "--engine=beam"), ("pairs",)),
}
# What these leave equals what `pairs` leaves.
SAME = {name: "pairs" for name in CASES if name.startswith("pairs ")}

# Their bytes differ from run to run: names of functions.
_UNCOMPARED = ("saved_model.pb", "fingerprint.pb")
# The row of the table in `evaluation.html` that has times.
_TIME_ROW = b"<tr><td>ms per image</td>"
_TIMES = ("seconds", "rate", "per_second", "date_saved", "created", "time")


def contents(directory: pathlib.Path) -> dict[str, str]:
    """Digests of what is in a directory, by the names of files and values."""
    found: dict[str, str] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_dir() or "logs" in path.relative_to(directory).parts:
            continue
        if name.endswith(".keras"):
            found |= {f"{name}: {k}": v for k, v in _keras(path).items()}
        elif path.parent.name == "checkpoints":
            found[name] = ""
            if name.endswith(".index"):
                found |= {f"{name}: {k}": v for k, v in _checkpoint(path).items()}
        elif path.name == "metrics.jsonl":
            metrics = map(json.loads, path.read_text().splitlines())
            found |= {f"{name}: {_timeless(values)}": "" for values in metrics}
        elif path.name == "evaluation.json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.name == "evaluation.html":
            lines = path.read_bytes().splitlines()
            timeless = [row for row in lines if not row.startswith(_TIME_ROW)]
            found[name] = _digest(b"\n".join(timeless))
        elif path.name in _UNCOMPARED:
            found[name] = ""
        else:
            found[name] = _digest(path.read_bytes())
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _timeless(value: object) -> str:
    """JSON without the values that are times."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if not any(t in k for t in _TIMES)}
            return {k: strip(v) for k, v in kept.items()}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return json.dumps(strip(value), sort_keys=True)


def _keras(path: pathlib.Path) -> dict[str, str]:
    """The weights of a network."""
    values: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:

        def visit(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                values[name] = _digest(item[()].tobytes())

        file.visititems(visit)
    return values


def _checkpoint(path: pathlib.Path) -> dict[str, str]:
    """The values of a checkpoint."""
    reader = tf.train.load_checkpoint(str(path).removesuffix(".index"))
    names = set(reader.get_variable_to_shape_map()) - {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
    }
    return {name: _digest(reader.get_tensor(name).tobytes()) for name in names}


def needed(names: list[str]) -> list[str]:
    """Some cases and those whose results they read, in an order that works."""
    found, queue = set(), list(names)
    while queue:
        name = queue.pop()
        found.add(name)
        queue += CASES[name].needs
    return [name for name in CASES if name in found]
