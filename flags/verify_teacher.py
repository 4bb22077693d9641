"""Checks a teacher, such as a converted one, before it generates many pairs.

    tf-student verify-teacher --preset=cifar10
    tf-student verify-teacher --preset=cifar10 --dataset=cifar10

Draws a few images. If --dataset names real images, also prints the noise-prediction
loss on them: 1 for a network that predicts zero, about 0.03 for a good network on
CIFAR-10.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("teacher")
config_flags.define(
    VerifyConfig,
    DataConfig,
    SamplerConfig,
    RunConfig,
    without=(*config_flags.TRAINING_ONLY, "flip"),
)


def main() -> None:
    """Draws images and measures the loss."""
    preset = config_flags.preset("data", "sampler")
    verification = launch.import_quietly("tf_student.evaluation.verify_teacher")
    result = verification.verify_teacher(
        config_flags.directory("teacher"),
        config_flags.work_dir(),
        real=preset.data if flags.FLAGS.dataset else None,
        config=config_flags.resolve(VerifyConfig()),
        sampler=preset.sampler,
        run=config_flags.resolve(RunConfig()),
    )
    print(result.text())


def plan() -> launch.Plan:
    """Returns what sampling would cost."""
    preset = config_flags.preset("sampler")
    config = config_flags.resolve(VerifyConfig())
    cost = launch.costs().sampling(
        preset.unet, preset.diffusion, preset.sampler, config.count
    )
    return f"draw images of the teacher and write to {config_flags.work_dir()}", cost


if __name__ == "__main__":
    launch.run(main, plan)
