"""Writes inference and training steps as StableHLO, which runs without TensorFlow.

    python benchmarks/gpu/export.py FOLDER [--networks=NAME,...] [--works=NAME,...]
                                       [--dtypes=NAME,...]

The programs are those of this library: a call of the network, and the losses and all
gradients of a distillation step and of a step of distribution matching; each in float32
and in mixed bfloat16, with the fused op and with its formula. Weights and images are
arguments, so the files are small. `programs.json` lists the programs and the arguments
of each. `run.sh` builds, checks and times them on a machine with a GPU.
"""

import argparse
import dataclasses
import gc
import gzip
import json
import pathlib
import re
from collections.abc import Callable

import keras
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert.diffusers_written import write_config
from tf_student.diffusion.losses import global_mean
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.runtime import devices
from tf_student.training import match_draws, match_phases, phases
from tf_student.training.match_config import MatchConfig
from tf_student.training.state import TrainState
from tf_student.training.student_task import student_loss

# Images of an inference and of a training step.
BATCHES = {
    "cifar10": (256, 128),
    "celeba64": (64, 64),
    "lsun_bedroom": (16, 8),
    "digits": (64, 64),
}
DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
WORKS = ("inference", "distillation", "matching")

_MAIN = re.compile(r"func\.func (?:public )?@main\((.*?)\)\s*->", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of named tensors, and the variables that it reads."""

    function: Callable
    inputs: dict[str, tf.TensorSpec]
    variables: list[tf.Variable]


def inference(config: UNetConfig, batch: int) -> Program:
    """A call of the network."""
    unet = UNet(config)

    def call(z):
        return unet(z, tf.fill([batch], 999))

    z = tf.TensorSpec([batch, *config.image_shape])
    return Program(call, {"z": z}, unet.variables)


def distillation(config: UNetConfig, batch: int) -> Program:
    """The L1 loss and the gradients of a student."""
    student = Student(UNet(config))

    def loss(part, carried, seed):
        distance = student_loss(student, part, seed, distance="l1")
        return phases.PhaseLoss(distance)

    phase = phases.Phase(phases.Learner(student, None), loss)
    image = tf.TensorSpec([batch, *config.image_shape], tf.uint8)
    inputs = {"z": tf.TensorSpec(image.shape), "image": image}
    return Program(
        lambda z, image, seed: gradients([phase], (z, image), batch, seed),
        {**inputs, "seed": tf.TensorSpec([2], tf.int32)},
        student.variables,
    )


def matching(config: UNetConfig, batch: int) -> Program:
    """SiD's losses and gradients of the student and of the fake score."""
    train = systems.get_preset("digits").matching
    match = MatchConfig("sid")
    state = TrainState(
        devices.make_strategy(["CPU:0"]),
        lambda: Student(UNet(config)),
        train,
        {match_phases.FAKE: (lambda: UNet(config), match.fake_training(train))},
    )
    teacher = UNet(config)
    start = match_phases.Measures(0.0, 0.0)
    steps = match_phases.MatchPhases(state, teacher, match, start).all(0.0)
    networks = [state.model, state.helpers[match_phases.FAKE].network, teacher]

    def call(z, seed):
        draws = match_draws.draw(
            seed, config.image_shape, match, state.model.diffusion, count=(batch,)
        )
        return gradients(steps, {"z": z, "draws": draws}, batch, seed)

    return Program(
        call,
        {
            "z": tf.TensorSpec([batch, *config.image_shape]),
            "seed": tf.TensorSpec([2], tf.int32),
        },
        [variable for network in networks for variable in network.variables],
    )


def gradients(steps, batch, batch_size: int, seed: tf.Tensor) -> list[tf.Tensor]:
    """The loss and the gradients of each phase, one after the other."""
    carried, results = {}, []
    for phase in steps:
        with tf.GradientTape() as tape:
            found = phase.loss(batch, carried, seed)
            loss = global_mean(found.losses, batch_size)
        variables = phase.learner.network.trainable_variables
        results += [loss, *tape.gradient(loss, variables)]
        carried = {**carried, **found.carried}
    return results


def lower(program: Program) -> tuple[str, list[dict]]:
    """A program as StableHLO, and its arguments in their order."""
    function = tf.function(program.function, jit_compile=True)
    specs = list(program.inputs.values())
    traced = function.get_concrete_function(*specs)
    text = function.experimental_get_compiler_ir(*specs)(stage="stablehlo")
    arguments = [
        {"name": name, "shape": list(spec.shape), "dtype": spec.dtype.name}
        for name, spec in program.inputs.items()
    ]
    for captured in traced.captured_inputs:
        # The same object, because a mirrored variable has a handle for each device.
        variable = next(v for v in handles(program.variables) if v[0] is captured)[1]
        shape, dtype = list(variable.shape), variable.dtype
        arguments.append({"name": variable.path, "shape": shape, "dtype": dtype})
    check(text, arguments)
    return text, arguments


def handles(variables) -> list[tuple[tf.Tensor, keras.Variable]]:
    """The variables with the tensors that traced functions capture."""
    pairs = []
    for variable in variables:
        value = variable.value
        local = getattr(value, "values", [value])
        pairs += [(each.handle, variable) for each in local]
    return pairs


def check(text: str, arguments: list[dict]) -> None:
    """Raises an error if the program has other arguments."""
    types = re.findall(r"%arg\d+: tensor<([^>]*)>", _MAIN.search(text).group(1))
    names = {"float32": "f32", "uint8": "ui8", "int32": "i32"}
    expected = ["x".join([*map(str, a["shape"]), names[a["dtype"]]]) for a in arguments]
    if types != expected:
        raise RuntimeError(f"The program takes {types}, and not {expected}.")


def write(
    folder: pathlib.Path,
    network: str,
    works: list[str],
    dtypes: list[str],
    divide: int,
) -> list[dict]:
    """Writes the programs of a network and returns their descriptions."""
    config = dataclasses.replace(systems.get_preset(network).unet, dropout=0.0)
    images = [max(1, batch // divide) for batch in BATCHES[network]]
    described = []
    for work in works:
        batch = images[0] if work == "inference" else images[1]
        for dtype in dtypes:
            for how, mode in (("fused", "on"), ("stock", "off")):
                keras.backend.clear_session()
                gc.collect()  # The last program's networks are in reference cycles.
                keras.config.set_dtype_policy(DTYPES[dtype])
                ops.set_mode(mode)
                text, arguments = lower(globals()[work](config, batch))
                name = f"{network}-{work}-{dtype}-{how}"
                path = folder / f"{name}.mlir.gz"
                path.write_bytes(gzip.compress(text.encode(), 6))
                print(f"{name}: {path.stat().st_size:,} bytes", flush=True)
                described.append(
                    {
                        "name": name,
                        **{"network": network, "work": work, "dtype": dtype},
                        **{"how": how, "images": batch, "file": path.name},
                        "arguments": arguments,
                    }
                )
    return described


def main() -> None:
    """Writes the programs of all networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--networks", default="cifar10,celeba64,lsun_bedroom")
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--divide", type=int, default=1, help="divides all batches")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    content = {"programs": [], "unets": {}}
    for network in options.networks.split(","):
        content["programs"] += write(
            options.folder,
            network,
            options.works.split(","),
            options.dtypes.split(","),
            options.divide,
        )
        unet = systems.get_preset(network).unet
        content["unets"][network] = write_config(unet)
        path = options.folder / "programs.json"
        path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
