"""Converts published weights into a teacher or student, or ours into diffusers' layout.

    tf-student convert --from=hf:google/ddpm-cifar10-32 --to=runs/cifar10/teacher
    tf-student convert --from=model_tf2_celeba.h5 --to=runs/celeba64/teacher
    tf-student convert --from=runs/cifar10/student --to=student_for_diffusers

Reads folders of diffusers' UNet2DModel, DDPM's TensorFlow checkpoints, PyTorch
checkpoints of DDIM's layout, and the Denoising Student's .h5 files. Flags of the
network correct what a file says or implies about its architecture.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.architecture.unet_config import UNetConfig

flags.DEFINE_string("from", None, "The weights: a path, or hf:owner/name.")
flags.DEFINE_string("to", None, "The directory to write.")
config_flags.define_dry_run()
flags.mark_flags_as_required(["from", "to"])
config_flags.define(UNetConfig)


def main() -> None:
    """Converts."""
    source, directory = flags.FLAGS["from"].value, flags.FLAGS.to
    models = launch.import_quietly("tf_student.models.convert")
    model = models.convert_weights(source, directory, **config_flags.given(UNetConfig))
    count = model.unet.count_params()
    print(f"{directory} has all {count:,} parameters of {source}.")


def plan() -> launch.Plan:
    """What there is to convert."""
    source = flags.FLAGS["from"].value
    cost = launch.costs().conversion(source, **config_flags.given(UNetConfig))
    return f"convert {source} to {flags.FLAGS.to}", cost


if __name__ == "__main__":
    launch.run(main, plan)
