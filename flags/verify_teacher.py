"""Looks at a teacher, such as a converted one, before a million pairs are made with it.

    tf-student verify-teacher --preset=cifar10
    tf-student verify-teacher --preset=cifar10 --dataset=cifar10

Samples a few images and, where --dataset names real images, prints the loss of the
noise prediction on them: 1 for a network that predicts nothing, about 0.03 for a good
one on CIFAR-10.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import DataConfig, RunConfig, SamplerConfig
from tf_student.convert.config import VerifyConfig

config_flags.define_common("teacher")
config_flags.define(VerifyConfig, DataConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Looks, or says what looking would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    config, sampler = (
        config_flags.resolve(VerifyConfig()),
        config_flags.resolve(system.sampler),
    )
    directory = config_flags.work_dir()
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.sampling(system.unet, system.diffusion, sampler, config.count)
        launch.print_cost(f"draw a teacher's images into {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.verify")
    data = config_flags.resolve(system.data) if flags.FLAGS.dataset else None
    teacher = config_flags.directory("teacher")
    found = station.verify_teacher(directory, teacher, config, sampler, run, data)
    print(found.text())


if __name__ == "__main__":
    launch.run(main)
