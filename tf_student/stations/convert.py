"""Published weights into a run's directory, and a run's weights into diffusers'."""

import os
import tempfile
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_student import architecture, files, memory, model_directory, run_directory
from tf_student.config import DiffusionConfig, UNetConfig
from tf_student.convert import (
    diffusers,
    diffusers_config,
    load,
    rows,
    sources,
)
from tf_student.convert.config import ConvertConfig
from tf_student.errors import InputError
from tf_student.stations import session
from tf_student.student import Student


def convert(
    source: str,
    directory: str,
    adjust: Callable[[UNetConfig], UNetConfig] = lambda config: config,
) -> keras.Model:
    """Ports published weights into `directory`, as a finished teacher or student.

    A source that is a run of this library goes the other way: `directory` becomes a
    folder that diffusers' `UNet2DModel.from_pretrained` opens. Nothing is written
    unless all weights are in place.

    Args:
        source: a path, or `hf:owner/name`.
        directory: where to write.
        adjust: changes the architecture that the source says or implies.

    Returns:
        The network.

    Raises:
        InputError: if the source cannot be read or does not fit, or if the directory
            belongs to something else.
    """
    if _is_run(source):
        return _to_diffusers(source, directory)
    model, diffusion = _load(source, adjust)
    network = "student" if isinstance(model, Student) else "teacher"
    unet = model.unet if isinstance(model, Student) else model
    run_directory.claim(
        directory,
        "convert",
        {
            "unet": unet.config,
            "diffusion": diffusion,
            "convert": ConvertConfig(source, network),
        },
    )
    model_directory.save(directory, model)
    return model


def _load(
    source: str, adjust: Callable[[UNetConfig], UNetConfig]
) -> tuple[keras.Model, DiffusionConfig]:
    """The network of a published source, whose file is then closed, and its process."""
    published = sources.open_source(source)
    model = load.load(published, adjust(published.config))
    if published.is_student:
        model = Student(model, published.diffusion.timesteps)
    return model, published.diffusion


def cost(
    source: str, adjust: Callable[[UNetConfig], UNetConfig] = lambda config: config
) -> dict[str, int]:
    """What converting takes; nothing but the source's names and shapes is read."""
    if _is_run(source):
        config = run_directory.read_config(source, "unet", UNetConfig)
    else:
        published = sources.open_source(source)
        config = adjust(published.config)
        rows.check(
            published.rows(config), published.tensors, architecture.variables(config)
        )
    count = memory.parameters(config)
    return {
        "image size": config.image_size,
        "parameters": count,
        "bytes on disk (about)": 4 * count,
    }


def _is_run(source: str) -> bool:
    path = os.path.join(source, run_directory.CONFIG)
    return tf.io.gfile.exists(path) and "tf_student" in files.read_json(path)


def _to_diffusers(source: str, directory: str) -> keras.Model:
    if tf.io.gfile.exists(directory) and tf.io.gfile.listdir(directory):
        raise InputError(
            f"`to` must be a new or an empty folder. Received: {directory}."
        )
    if session.holds_student(source):
        model = model_directory.load_student(source)
        unet = model.unet
    else:
        model = unet = model_directory.load_teacher(source)
    diffusion = run_directory.read_config(source, "diffusion", DiffusionConfig)
    tensors = load.unload(unet, diffusers.rows(unet.config))
    scheduler = os.path.join(directory, "scheduler")
    tf.io.gfile.makedirs(scheduler)
    _write_safetensors(
        os.path.join(directory, f"{diffusers.WEIGHTS}.safetensors"), tensors
    )
    files.write_json(
        os.path.join(scheduler, "scheduler_config.json"),
        diffusers_config.write_scheduler(diffusion),
    )
    files.write_json(
        os.path.join(directory, "config.json"),
        diffusers_config.write_config(unet.config),
    )
    return model


def _write_safetensors(path: str, tensors: dict) -> None:
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, "weights")
        # diffusers asks for the format of the framework.
        save_file(tensors, local, metadata={"format": "pt"})
        with files.replacing(path) as temporary:
            tf.io.gfile.copy(local, temporary)
