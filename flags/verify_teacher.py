"""Inspects a teacher, such as a converted one, before a million pairs are made with it.

    tf-student verify-teacher --preset=cifar10
    tf-student verify-teacher --preset=cifar10 --dataset=cifar10

Samples a few images and, where --dataset names real images, prints the loss of the
noise prediction on them: 1 for a network that predicts nothing, about 0.03 for a good
one on CIFAR-10.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("teacher")
config_flags.define(VerifyConfig, DataConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Samples and measures."""
    preset = config_flags.preset("data", "sampler")
    evaluation = launch.import_quietly("tf_student.evaluation.verify_teacher")
    verification = evaluation.verify_teacher(
        config_flags.directory("teacher"),
        config_flags.work_dir(),
        real=preset.data if flags.FLAGS.dataset else None,
        config=config_flags.resolve(VerifyConfig()),
        sampler=preset.sampler,
        run=config_flags.resolve(RunConfig()),
    )
    print(verification.text())


def plan() -> launch.Plan:
    """What sampling would cost."""
    preset, config = (
        config_flags.preset("sampler"),
        config_flags.resolve(VerifyConfig()),
    )
    cost = launch.costs().sampling(
        preset.unet, preset.diffusion, preset.sampler, config.count
    )
    return f"draw a teacher's images into {config_flags.work_dir()}", cost


if __name__ == "__main__":
    launch.run(main, plan)
