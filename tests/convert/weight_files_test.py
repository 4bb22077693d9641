"""Which file of a diffusers folder is read, and the shards that an index names."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.convert import torch_writer
from tf_student.convert import weight_files
from tf_student.runtime.errors import InputError

STEM = "diffusion_pytorch_model"


@pytest.fixture
def write(tmp_path):
    """Writes a file whose only tensor has one value."""

    def run(name, value, tensor="conv_in.weight"):
        arrays = {tensor: np.full(3, value, np.float32)}
        path = tmp_path / name
        if name.endswith(".safetensors"):
            save_file(arrays, path)
        else:
            opcodes = torch_writer.state_dict(arrays)
            torch_writer.write_archive(path, opcodes, list(arrays.values()))

    return run


def value(folder, weights=""):
    tensors = weight_files.read(str(folder), weights)
    return tensors.read("conv_in.weight")[0], tensors.note


ALONE = "the only ones; the file does not say whether they are EMA weights"


@pytest.mark.parametrize(
    ("names", "weights", "expected", "note"),
    [
        ([".bin", ".safetensors"], "", 1, ALONE),
        ([".bin"], "", 0, ALONE),
        ([".fp16.safetensors"], "", 0, "variant fp16"),
        ([".fp16.safetensors", ".fp16.bin"], "", 0, "variant fp16"),
        ([".safetensors", ".fp16.safetensors"], "", 0, ALONE),
        ([".safetensors", ".fp16.safetensors"], "fp16", 1, "variant fp16"),
        ([".safetensors", ".ema.safetensors"], "", 1, "EMA, variant ema"),
        (
            [".safetensors", ".non_ema.safetensors"],
            "",
            0,
            "EMA, because the variant non_ema is beside them",
        ),
        ([".safetensors", ".non_ema.bin"], "non_ema", 1, "raw, variant non_ema"),
        ([".safetensors", ".bin"], f"{STEM}.bin", 1, ALONE),
    ],
)
def test_one_rule_says_which_file_is_read(
    tmp_path, write, names, weights, expected, note
):
    for i, name in enumerate(names):
        write(f"{STEM}{name}", i)
    assert value(tmp_path, weights) == (expected, note)


@pytest.mark.parametrize(
    ("names", "weights", "message"),
    [
        ([], "", f"must have {STEM}.safetensors or .bin"),
        ([".fp16.bin", ".bf16.bin"], "", "several variants.*one of: bf16, fp16"),
        ([".non_ema.bin"], "", "only raw weights. Set `weights` to non_ema"),
        ([".bin"], "fp16", f"files or variants: {STEM}.bin. Received: weights=fp16"),
        ([".bin"], "../a.bin", "Received: weights=../a.bin"),
    ],
)
def test_what_is_not_clear_is_asked(tmp_path, write, names, weights, message):
    for i, name in enumerate(names):
        write(f"{STEM}{name}", i)
    with pytest.raises(InputError, match=message):
        weight_files.read(str(tmp_path), weights)


@pytest.mark.parametrize(
    ("index", "shard", "note"),
    [
        (f"{STEM}.safetensors.index.json", f"{STEM}-{{}}.safetensors", ALONE),
        (f"{STEM}.bin.index.json", f"{STEM}-{{}}.bin", ALONE),
        (
            f"{STEM}.safetensors.index.fp16.json",
            f"{STEM}.fp16-{{}}.safetensors",
            "variant fp16",
        ),
        (
            f"{STEM}.fp16.safetensors.index.json",
            f"{STEM}.fp16-{{}}.safetensors",
            "variant fp16",
        ),
    ],
)
def test_shards_are_one_file(tmp_path, write, index, shard, note):
    names = [shard.format(f"0000{i}-of-00002") for i in (1, 2)]
    write(names[0], 5)
    write(names[1], 6, "conv_out.weight")
    places = {"conv_in.weight": names[0], "conv_out.weight": names[1]}
    (tmp_path / index).write_text(json.dumps({"weight_map": places}))
    tensors = weight_files.read(str(tmp_path))
    assert tensors.shapes == {"conv_in.weight": (3,), "conv_out.weight": (3,)}
    assert tensors.read("conv_in.weight")[0] == 5
    assert tensors.read("conv_out.weight")[0] == 6
    assert tensors.note == note


SHARD = f"{STEM}-00001-of-00001.safetensors"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (None, "`weight_map` must be an object of file names"),
        ([SHARD], "`weight_map` must be an object of file names"),
        ({}, "`weight_map` must be an object of file names"),
        ({"conv_in.weight": 3}, "in its own folder. Received: 3"),
        ({"conv_in.weight": "/etc/a.bin"}, "in its own folder. Received: /etc/a.bin"),
        ({"conv_in.weight": f"../{SHARD}"}, "in its own folder. Received: ../"),
        ({"conv_in.weight": f"./{SHARD}"}, "in its own folder. Received: ./"),
        ({"conv_in.weight": ".."}, "in its own folder. Received: ..."),
        ({"conv_in.weight": "config.json"}, "in its own folder. Received: config.json"),
        ({"conv_in.weight": "missing.bin"}, "names missing.bin, which is missing"),
        ({"a": SHARD, "conv_in.weight": SHARD}, f"names a in {SHARD}, which has none"),
        ({"conv_in.bias": SHARD}, "names conv_in.bias in"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, write, places, message):
    write(SHARD, 5)
    content = {} if places is None else {"weight_map": places}
    index = tmp_path / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        weight_files.read(str(tmp_path))


def test_a_tensor_that_an_index_does_not_name(tmp_path, write):
    arrays = {name: np.zeros(1, "f") for name in ("conv_in.weight", "more")}
    save_file(arrays, tmp_path / SHARD)
    index = tmp_path / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": SHARD}}))
    with pytest.raises(InputError, match=f"does not name more of {SHARD}"):
        weight_files.read(str(tmp_path))
