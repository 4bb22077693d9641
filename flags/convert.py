"""Converts published weights into a teacher or a student, or back to diffusers.

    tf-student convert --from=hf:google/ddpm-cifar10-32 --to=runs/cifar10/teacher
    tf-student convert --from=model_tf2_celeba.h5 --to=runs/celeba64/teacher
    tf-student convert --from=runs/cifar10/student --to=student_for_diffusers
    tf-student convert --from=runs/cifar10/student --to=hf:owner/name --license=mit

Reads diffusers folders of a UNet2DModel, TensorFlow checkpoints of DDPM, PyTorch
checkpoints in the layout of DDIM, state dicts of improved- and guided-diffusion, and
.h5 files of the Denoising Student. Of several networks in a source the EMA weights are
read, or those that --weights names; --dry_run says which. The flags of the network and
of the forward process override what a file states or implies. The run directory of a
teacher or a student is written as a diffusers folder, or uploaded as one with a model
card; huggingface_hub's login or HF_TOKEN says who you are.
"""

from typing import Any

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

config_flags.define_path("from", "Required: the weights, a path or hf:owner/name.")
config_flags.define_path("to", "Required: the directory to write, or hf:owner/name.")
config_flags.define_string(
    "weights",
    "",
    "Which of several networks in the source: a key, a folder or a variant (default: "
    "the EMA weights).",
)
config_flags.define_string(
    "license",
    "",
    "Licence of the weights for the model card of --to=hf:..., such as cc-by-4.0.",
)
config_flags.define(UNetConfig, DiffusionConfig, source="from the weights")


def _path(name: str) -> str:
    """Returns the value of --from or --to."""
    value = flags.FLAGS[name].value
    if not value:
        raise InputError(f"`{name}` must be set; see tf-student convert --help.")
    return value


def _overrides() -> dict[str, Any]:
    """Returns --weights, and the options of network and process that are set."""
    weights = {"weights": flags.FLAGS.weights} if flags.FLAGS.weights else {}
    unet = config_flags.overrides(UNetConfig)
    return {**weights, **unet, **config_flags.overrides(DiffusionConfig)}


def main() -> None:
    """Converts."""
    source, directory = _path("from"), _path("to")
    models = launch.import_quietly("tf_student.models.convert")
    model = models.convert_weights(
        source, directory, license=flags.FLAGS.license, **_overrides()
    )
    count = model.unet.count_params()
    print(f"Wrote all {count:,} parameters of {source} to {directory}.")


def plan() -> launch.Plan:
    """Returns what the source is, and the size of the conversion."""
    source, directory = _path("from"), _path("to")
    cost = launch.costs().conversion(source, **_overrides())
    return f"convert {source} to {directory}", cost


if __name__ == "__main__":
    launch.run(main, plan)
