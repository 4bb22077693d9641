"""Small intact files of every kind, which `mutations` damages."""

import dataclasses
import io
import json
import os
import pathlib
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np

from tests.convert import torch_writer
from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig

# Attention at 16x16, as the layouts without a config imply.
CONFIG = UNetConfig(
    image_size=16,
    channels=1,
    base_width=32,
    width_multipliers=(1,),
    blocks_per_level=1,
    attention_resolutions=(16,),
    dropout=0.0,
)


@dataclasses.dataclass
class Source:
    """A file, and how it is read.

    Attributes:
        path: the file that is damaged.
        read: reads the source with all of its tensors.
        head: the number of bytes before the values of the tensors.
        content: the intact file.
    """

    path: pathlib.Path
    read: Callable[[], None]
    head: int = 0

    def __post_init__(self):
        self.content = self.path.read_bytes()
        self.head = self.head or len(self.content)


def tensors(table):
    """Random tensors of `CONFIG` by the names of a table."""
    from tf_student.convert import rows

    rng = np.random.default_rng(0)
    values = {
        path: rng.normal(size=shape).astype(np.float32)
        for path, shape in plan.variables(CONFIG).items()
    }
    return rows.revert(table, values.__getitem__)


def read_source(path):
    """Opens a source and reads its tensors, as a conversion does."""
    from tf_student.convert import rows, sources

    published = sources.open_source(str(path))
    config = published.config
    values = rows.apply(
        published.rows(config), published.tensors, plan.variables(config)
    )
    for _ in values:
        pass


def make(kind: str, folder: pathlib.Path, *, in_process: bool = False) -> Source:
    """Writes the intact file of a kind.

    Args:
        kind: one of `mutations.KINDS`.
        folder: where to write.
        in_process: whether HDF5 files are looked into by a fork of this process, which
            is faster than the program that does it for users.
    """
    return {
        "archive": _archive,
        "stream": _stream,
        "safetensors": _safetensors,
        "config": _config,
        "h5": lambda folder: _h5(folder, in_process),
    }[kind](folder)


def _checkpoint():
    from tf_student.convert import ddpm

    arrays = tensors(ddpm.rows(CONFIG))
    return arrays, list(arrays.values())


def _archive(folder):
    arrays, values = _checkpoint()
    raw = torch_writer.state_dict(arrays)
    average = torch_writer.state_dict(arrays, first=len(values))
    items = torch_writer.plain("model") + raw + torch_writer.plain("ema") + average
    path = folder / "a.pt"
    torch_writer.write_archive(path, b"}(" + items + b"u", values * 2)
    return Source(path, lambda: read_source(path))


def _stream(folder):
    arrays, values = _checkpoint()
    path = folder / "a.pt"
    opcodes = torch_writer.state_dict(arrays, legacy=True)
    torch_writer.write_stream(path, opcodes, values)
    length = path.stat().st_size - sum(v.nbytes + 8 for v in values)
    return Source(path, lambda: read_source(path), length)


def _folder(folder):
    from safetensors.numpy import save_file

    from tf_student.convert import diffusers, diffusers_written

    config = diffusers_written.write_config(CONFIG)
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / f"{diffusers.WEIGHTS}.safetensors"
    save_file(tensors(diffusers.rows(CONFIG)), path)
    return path


def _safetensors(folder):
    path = _folder(folder)
    length = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    return Source(path, lambda: read_source(folder), length)


def _config(folder):
    """The configs of network and scheduler and the index of shards in one file."""
    from tf_student.convert import diffusers_scheduler
    from tf_student.diffusion.diffusion_config import DiffusionConfig

    weights = _folder(folder)
    shard = folder / weights.name.replace(".", "-00001-of-00001.", 1)
    weights.rename(shard)
    header = shard.read_bytes()
    names = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    parts = {
        "config.json": json.loads((folder / "config.json").read_text()),
        "scheduler_config.json": diffusers_scheduler.write_scheduler(DiffusionConfig()),
        f"{weights.name}.index.json": {"weight_map": dict.fromkeys(names, shard.name)},
    }
    path = folder / "all.json"
    path.write_text(json.dumps(parts))

    def read():
        content = path.read_bytes()
        try:
            damaged = json.loads(content)
            texts = {name: json.dumps(damaged[name]).encode() for name in parts}
        except (ValueError, KeyError, TypeError, RecursionError):
            # A text that is no such object: for each of the files in turn.
            texts = {name: json.dumps(part).encode() for name, part in parts.items()}
            texts[list(parts)[len(content) % len(parts)]] = content
        for name, text in texts.items():
            (folder / name).write_bytes(text)
        read_source(folder)

    return Source(path, read)


def _h5(folder, in_process):
    import h5py

    from tf_student.convert import h5_file, h5_index

    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv", b"dense", b"nothing"]
        for layer in ("conv", "dense", "nothing"):
            group = file.create_group(layer)
            count = 0 if layer == "nothing" else 4
            names = [f"{layer}/w_{i}:0".encode() for i in range(count)]
            group.attrs["weight_names"] = np.array(names, "S20")
            for i, name in enumerate(names):
                group[name.decode()] = np.full((3, i + 1), i, np.float32)

    def forked(path):
        """As the program is run, but without starting Python."""
        out, answer = os.pipe()
        child = os.fork()
        if not child:
            text = io.StringIO()
            with redirect_stdout(text):
                h5_index.main(path)
            os.write(answer, text.getvalue().encode())
            os._exit(0)
        os.close(answer)
        with open(out, "rb") as file:
            content = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return h5_file.layers_of(path, status, content)

    def read():
        if in_process:
            h5_file._index, h5_index._SECONDS = forked, 1
        weights, _ = h5_file.keras_weights(str(path))
        for name in weights.shapes:
            weights.read(name)

    return Source(path, read)
