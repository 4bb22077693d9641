"""What a source is recognized as, and which of its weights are read."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.convert import mutated_sources, torch_writer
from tests.convert.diffusers_config_test import SCHEDULER
from tests.convert.mutated_sources import CONFIG
from tf_student.architecture import plan
from tf_student.convert import ddpm, diffusers, diffusers_written, rows, sources
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

WEIGHTS = f"{diffusers.WEIGHTS}.safetensors"


def write_folder(folder, factor=1.0, **options):
    """A network of diffusers; `factor` scales its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = diffusers_written.write_config(CONFIG) | options
    (folder / "config.json").write_text(json.dumps(config))
    tensors = mutated_sources.tensors(diffusers.rows(CONFIG))
    save_file({k: v * np.float32(factor) for k, v in tensors.items()}, folder / WEIGHTS)


def write_torch(path, factors, **more):
    """A checkpoint of networks in DDIM's layout by key; the top has an empty one."""
    arrays = mutated_sources.tensors(ddpm.rows(CONFIG))
    parts, storages = {}, []
    for key, factor in factors.items():
        parts[key] = torch_writer.state_dict(arrays, first=len(storages))
        storages += [v * np.float32(factor) for v in arrays.values()]
    opcodes = parts[""] if "" in parts else torch_writer.as_dict(parts)
    torch_writer.write_archive(path, opcodes, storages)
    return str(path)


def factor(published):
    """What the weights of a source were multiplied by."""
    table, variables = published.rows(published.config), plan.variables(CONFIG)
    values = dict(rows.apply(table, published.tensors, variables))
    original = mutated_sources.tensors([rows.Row("stem.bias", ("bias",))])["bias"]
    return float(np.median(values["stem.bias"] / original))


def test_the_ema_folder_comes_first(tmp_path, caplog):
    write_folder(tmp_path / "unet")
    write_folder(tmp_path / "unet_ema", 3.0, decay=0.9999, optimization_step=500)
    published = sources.open_source(str(tmp_path))
    assert factor(published) == pytest.approx(3)
    assert published.tensors.note == "EMA, folder unet_ema"
    for source, weights in ((tmp_path, "unet"), (tmp_path / "unet", "")):
        caplog.clear()
        raw = sources.open_source(str(source), weights=weights)
        assert factor(raw) == pytest.approx(1)
        assert raw.tensors.note == "raw, folder unet; the EMA weights are in unet_ema"
        assert "has EMA weights in unet_ema" in caplog.text


def test_a_folder_from_inside(tmp_path, monkeypatch):
    write_folder(tmp_path / "unet")
    write_folder(tmp_path / "unet_ema")
    (tmp_path / "scheduler").mkdir()
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(SCHEDULER | {"beta_end": 0.012}))
    (tmp_path / "unet" / WEIGHTS).rename(
        tmp_path / "unet" / f"{diffusers.WEIGHTS}.fp16.safetensors"
    )
    monkeypatch.chdir(tmp_path / "unet")
    published = sources.open_source(".")
    assert published.diffusion.beta_end == 0.012
    assert published.tensors.note == (
        "variant fp16; raw, folder unet; the EMA weights are in unet_ema"
    )


def test_one_of_several_folders_must_be_named(tmp_path):
    for name in ("unet", "unet_2"):
        write_folder(tmp_path / name)
    with pytest.raises(InputError, match="Set `weights` to one of: unet, unet_2"):
        sources.open_source(str(tmp_path))
    assert sources.open_source(str(tmp_path), weights="unet_2").config == CONFIG


def test_a_file_of_a_folder_can_be_named(tmp_path):
    write_folder(tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / f"{diffusers.WEIGHTS}.fp16.safetensors")
    path = str(tmp_path / f"{diffusers.WEIGHTS}.fp16.safetensors")
    assert sources.open_source(path).tensors.note == "variant fp16"


@pytest.mark.parametrize("part", ["vae", "vqvae"])
def test_latent_diffusion_is_refused(tmp_path, part):
    write_folder(tmp_path / "unet")
    write_folder(tmp_path / part)
    for source in (tmp_path, tmp_path / "unet"):
        with pytest.raises(InputError, match="latent diffusion model, which is not"):
            sources.open_source(str(source))


def test_the_scheduler_above_a_training_checkpoint(tmp_path):
    write_folder(tmp_path / "checkpoint-500" / "unet_ema")
    (tmp_path / "scheduler").mkdir()
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(SCHEDULER | {"beta_end": 0.012}))
    published = sources.open_source(str(tmp_path / "checkpoint-500"))
    assert published.diffusion.beta_end == 0.012


def test_ema_weights_of_a_training_checkpoint(tmp_path):
    path = write_torch(tmp_path / "a.pt", {"model": 1, "ema": 3})
    published = sources.open_source(path)
    assert (factor(published), published.tensors.note) == (3, "EMA, key ema")
    assert factor(sources.open_source(path, weights="model")) == 1


def test_raw_weights_beside_their_ema_weights(tmp_path):
    path = write_torch(tmp_path / "model010000.pt", {"": 1})
    assert factor(sources.open_source(path)) == 1
    average = write_torch(tmp_path / "ema_0.9999_010000.pt", {"": 3})
    with pytest.raises(InputError, match=r"beside it: ema_0\.9999_010000\.pt"):
        sources.open_source(path)
    assert factor(sources.open_source(path, weights="model010000.pt")) == 1
    published = sources.open_source(average)
    assert published.tensors.note == "EMA, by the name of the file"


def test_an_image_size_moves_the_attention_with_it(tmp_path):
    path = write_torch(tmp_path / "a.pt", {"": 1})
    config = sources.open_source(path, image_size=64).config
    assert (config.image_size, config.attention_resolutions) == (64, (64,))


@pytest.mark.parametrize(
    ("betas", "expected"),
    [
        (np.linspace(1e-4, 0.02, 1000), DiffusionConfig()),
        (np.full(4, 0.25), DiffusionConfig(4, betas=(0.25,) * 4)),
    ],
)
def test_betas_among_the_tensors_are_the_process(tmp_path, betas, expected):
    arrays = mutated_sources.tensors(ddpm.rows(CONFIG))
    arrays["betas"] = betas.astype(np.float32)
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, list(arrays.values()))
    path = str(tmp_path / "a.pt")
    assert sources.open_source(path).diffusion == expected
    process = sources.open_source(path, timesteps=500).diffusion
    assert process == DiffusionConfig(500)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_width": 64}, "wrong shape: conv_in.weight (3, 3, 1, 32) for stem"),
        ({"channels": 3}, "wrong shape: conv_in.weight"),
        ({"blocks_per_level": 2}, "missing: down.0.block.1"),
        ({"attention_resolutions": ()}, "unexpected: down.0.attn.0"),
        ({"classes": 10}, "missing: class_table.weight"),
        ({"learned_variance": True}, "wrong shape: conv_out.weight"),
        ({"blocks_per_level": 10**9}, "`blocks_per_level` must be at most 64"),
        ({"weights": "ema"}, "`weights` must be a key of"),
    ],
)
def test_options_that_contradict_the_file_name_a_tensor(tmp_path, options, message):
    path = write_torch(tmp_path / "a.pt", {"": 1})
    with pytest.raises(InputError) as error:
        published = sources.open_source(path, **options)
        variables = plan.variables(published.config)
        rows.check(published.rows(published.config), published.tensors, variables)
    assert message in str(error.value)


def test_other_families_are_named(tmp_path):
    arrays = {"all_modules.0.W": np.zeros(128, "f")}
    torch_writer.write_archive(
        tmp_path / "a.pth", torch_writer.state_dict(arrays), list(arrays.values())
    )
    with pytest.raises(InputError, match=r"a score SDE .* Covered are .* UNet2DModel"):
        sources.open_source(str(tmp_path / "a.pth"))


def test_a_config_that_asks_for_a_huge_network(tmp_path):
    write_folder(tmp_path, layers_per_block=10**12)
    with pytest.raises(InputError, match=r"`layers_per_block` must be at most 64"):
        sources.open_source(str(tmp_path))
