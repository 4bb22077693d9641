"""Ports published weights into a teacher or student, or ours into diffusers' layout.

    tf-student convert --from=hf:google/ddpm-cifar10-32 --to=runs/cifar10/teacher
    tf-student convert --from=model_tf2_celeba.h5 --to=runs/celeba64/teacher
    tf-student convert --from=runs/cifar10/student --to=student_for_diffusers

Reads folders of diffusers' UNet2DModel, DDPM's TensorFlow checkpoints, PyTorch
checkpoints of DDIM's layout, and the Denoising Student's .h5 files. Flags of the
network change what a file says or, where it says nothing, implies of it.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import UNetConfig

flags.DEFINE_string("from", None, "The weights: a path, or hf:owner/name.")
flags.DEFINE_string("to", None, "The directory to write.")
flags.DEFINE_boolean("dry_run", False, "Say what would be done, and do nothing.")
flags.mark_flags_as_required(["from", "to"])
config_flags.define(UNetConfig)


def main() -> None:
    """Converts, or says what there is to convert."""
    source, directory = flags.FLAGS["from"].value, flags.FLAGS.to
    station = launch.import_quietly("tf_student.stations.convert")
    if flags.FLAGS.dry_run:
        cost = station.cost(source, config_flags.resolve)
        launch.print_cost(f"convert {source} to {directory}", cost)
        return
    model = station.convert(source, directory, config_flags.resolve)
    print(f"{directory} has all {model.count_params():,} parameters of {source}.")


if __name__ == "__main__":
    launch.run(main)
