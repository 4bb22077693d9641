"""Networks in each published layout, made by other code, give the same output here."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from safetensors.numpy import save_file

from tests.convert import ddpm_network, torch_writer
from tests.convert import denoising_student_model as original
from tf_student.convert import sources
from tf_student.models import pretrained
from tf_student.models.student import Student
from tf_student.runtime.errors import InputError


@pytest.fixture(scope="module")
def ddpm():
    return ddpm_network.example()


def assert_same_network(source, example):
    _, inputs, expected = example
    published = sources.open_source(str(source))
    assert not published.is_student
    unet = pretrained.read(str(source)).unet
    np.testing.assert_allclose(unet(*inputs), expected, rtol=1e-4, atol=1e-4)
    return published


def write_checkpoint(prefix, values):
    """A training checkpoint of TensorFlow 1: weights, EMA weights and Adam's slots."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = []
        for name, value in values.items():
            name = f"model/{name}"
            for suffix, part in (
                ("", np.zeros_like(value)),
                ("/ExponentialMovingAverage", value),
                ("/Adam", np.ones_like(value)),
            ):
                variables.append(
                    tf.compat.v1.get_variable(name + suffix, initializer=part)
                )
        variables.append(tf.compat.v1.train.get_or_create_global_step())
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(variables)
        saver.save(session, str(prefix), global_step=790000)


def test_ddpm_in_tensorflow(ddpm, tmp_path):
    write_checkpoint(tmp_path / "model.ckpt", ddpm[0])
    published = assert_same_network(tmp_path / "model.ckpt-790000", ddpm)
    assert published.config.image_size == 32
    assert published.config.attention_resolutions == (16,)
    assert sources.open_source(str(tmp_path)).config == published.config
    index = tmp_path / "model.ckpt-790000.index"
    assert sources.open_source(str(index)).config == published.config


def test_ddpm_in_tensorflow_without_ema_weights(ddpm, tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable(
            "model/conv_in/W", initializer=np.zeros((3, 3, 3, 32), np.float32)
        )
        session.run(variable.initializer)
        tf.compat.v1.train.Saver([variable]).save(session, str(tmp_path / "model.ckpt"))
    with pytest.raises(InputError, match=r"DDPM's EMA weights.*: model/conv_in/W\."):
        sources.open_source(str(tmp_path / "model.ckpt"))


@pytest.mark.parametrize(
    "write", [torch_writer.write_archive, torch_writer.write_stream]
)
def test_ddpm_in_pytorch(ddpm, tmp_path, write):
    arrays = ddpm_network.ported(ddpm[0])
    legacy = write is torch_writer.write_stream
    opcodes = torch_writer.state_dict(arrays, legacy=legacy)
    write(tmp_path / "model.pt", opcodes, list(arrays.values()))
    assert_same_network(tmp_path / "model.pt", ddpm)


def test_the_ema_weights_of_a_training_checkpoint_in_pytorch(ddpm, tmp_path):
    arrays = ddpm_network.ported(ddpm[0])
    zeros = {f"module.{name}": np.zeros_like(array) for name, array in arrays.items()}
    optimizer = torch_writer.plain({"state": {}, "param_groups": [{"lr": 2e-4}]})
    opcodes = torch_writer.as_list(
        torch_writer.state_dict(zeros),
        optimizer,
        torch_writer.plain(12),
        torch_writer.plain(500_000),
        torch_writer.state_dict(arrays, first=len(zeros)),
    )
    storages = [*zeros.values(), *arrays.values()]
    torch_writer.write_archive(tmp_path / "ckpt.pth", opcodes, storages)
    assert_same_network(tmp_path / "ckpt.pth", ddpm)


def spread(model, *inputs):
    """Every weight matters; the authors' layers start at zero in places."""
    model(*inputs)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = rng.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(value + ("gamma" in weight.name))
    return model(*inputs).numpy()


@pytest.mark.parametrize("name", original.SYSTEMS)
def test_the_authors_teachers(name, tmp_path):
    size, _ = original.SYSTEMS[name]
    x = np.random.default_rng(1).normal(size=(2, size, size, 3)).astype(np.float32)
    t = np.array([7, 613], np.int32)
    # Its layers are not the first of the process.
    tf_keras.layers.Dense(1)
    teacher = original.Teacher(name)
    expected = spread(teacher, x, t)
    path = str(tmp_path / f"model_tf2_{name}.h5")
    teacher.save_weights(path)
    published = sources.open_source(path)
    assert (published.config.norm_epsilon, published.is_student) == (1e-3, False)
    unet = pretrained.read(path).unet
    np.testing.assert_allclose(unet(x, t), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", original.SYSTEMS)
def test_the_authors_students(name, tmp_path):
    size, _ = original.SYSTEMS[name]
    z = np.random.default_rng(1).normal(size=(2, size, size, 3)).astype(np.float32)
    student = original.Student(name)
    expected = spread(student, z)
    path = str(tmp_path / f"{name}_ema_model.h5")
    student.save_weights(path)
    published = pretrained.read(path)
    assert published.is_student
    ours = Student(published.unet, published.diffusion)
    np.testing.assert_allclose(ours(z), expected, rtol=2e-4, atol=2e-4)


def test_an_h5_file_of_another_network(tmp_path):
    model = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(4,))])
    model.save_weights(str(tmp_path / "other.h5"))
    with pytest.raises(InputError) as error:
        sources.open_source(str(tmp_path / "other.h5"))
    assert "Received: 2 tensors, the first of shape (4, 3)." in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"input_blocks.0.0.weight": np.zeros((8, 3, 3, 3), "f")},
            "must have the layout of guided-diffusion",
        ),
        ({"fc.weight": np.zeros((2, 2), "f")}, "Received: fc.weight."),
    ],
)
def test_pytorch_files_of_other_networks(tmp_path, arrays, message):
    path = tmp_path / "model.pt"
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(path, opcodes, list(arrays.values()))
    with pytest.raises(InputError, match=message):
        sources.open_source(str(path))


def test_a_learned_variance_in_pytorch_is_recognized(ddpm, tmp_path):
    arrays = ddpm_network.ported(ddpm[0])
    arrays["conv_out.weight"] = np.zeros((6, 32, 3, 3), np.float32)
    opcodes = torch_writer.state_dict(arrays)
    path = tmp_path / "model.pt"
    torch_writer.write_archive(path, opcodes, list(arrays.values()))
    assert sources.open_source(str(path)).config.learned_variance


@pytest.mark.parametrize("name", ["missing.pt", "hf.txt", "empty"])
def test_what_is_not_known_is_refused(tmp_path, name):
    (tmp_path / "hf.txt").write_text("weights")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"`source` must .* Received: source="):
        sources.open_source(str(tmp_path / name))


def test_a_folder_without_weights(tmp_path):
    from tests.convert.diffusers_config_test import CIFAR10

    (tmp_path / "config.json").write_text(json.dumps(CIFAR10))
    with pytest.raises(InputError, match="must have diffusion_pytorch_model"):
        sources.open_source(str(tmp_path))


def test_no_network_for_the_hub(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as error:
        sources.open_source("hf:google/ddpm-cifar10-32")
    assert str(error.value).startswith(
        "source=hf:google/ddpm-cifar10-32 could not be downloaded and is not in the "
        "cache"
    )
    assert "\n" not in str(error.value)


def write_pipeline(folder):
    from tests.convert.diffusers_config_test import SCHEDULER
    from tests.networks import TINY
    from tf_student.convert import diffusers, diffusers_written, rows
    from tf_student.models.unet import UNet

    (folder / "unet").mkdir(parents=True)
    values = diffusers_written.write_config(TINY)
    (folder / "unet" / "config.json").write_text(json.dumps(values))
    variables = UNet(TINY).named_variables()
    tensors = rows.revert(diffusers.rows(TINY), lambda path: variables[path].numpy())
    save_file(tensors, folder / "unet" / f"{diffusers.WEIGHTS}.safetensors")
    (folder / "scheduler").mkdir()
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(SCHEDULER | {"beta_end": 0.012}))
    return path


@pytest.mark.parametrize("part", ["", "unet", "unet/"])
def test_a_pipelines_scheduler_is_found(tmp_path, part):
    write_pipeline(tmp_path)
    published = sources.open_source(f"{tmp_path}/{part}")
    assert published.diffusion.beta_end == 0.012


def test_without_a_scheduler_the_assumption_is_said(tmp_path, caplog):
    write_pipeline(tmp_path).unlink()
    assert sources.open_source(str(tmp_path)).diffusion.beta_end == 0.02
    assert "has no scheduler" in caplog.text


def test_one_of_several_checkpoints_must_be_named(ddpm, tmp_path):
    for name in ("a", "b"):
        write_checkpoint(tmp_path / name, ddpm[0])
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(InputError, match=r"must name one of .* 2 checkpoints"):
        sources.open_source(str(tmp_path))


def test_names_that_ask_for_a_huge_network(tmp_path):
    arrays = {
        "conv_in.weight": np.zeros((8, 3, 3, 3), "f"),
        "conv_out.weight": np.zeros((3, 8, 3, 3), "f"),
        "down.0.block.0.conv1.weight": np.zeros((8, 8, 3, 3), "f"),
        "down.0.block.999999999999.conv1.weight": np.zeros((8, 8, 3, 3), "f"),
    }
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, list(arrays.values()))
    with pytest.raises(InputError, match="must have DDPM's layout"):
        sources.open_source(str(tmp_path / "a.pt"))
