"""Trains a teacher: a DDPM on real images.

    tf-student teacher --preset=digits
    tf-student teacher --flagfile=flags/recipes/cifar10.flags

Run the same command again to go on after an interruption.
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import (
    DataConfig,
    DiffusionConfig,
    LogConfig,
    RunConfig,
    SamplerConfig,
    TrainConfig,
    UNetConfig,
)

config_flags.define_common("teacher")
config_flags.define(
    DataConfig,
    UNetConfig,
    DiffusionConfig,
    TrainConfig,
    SamplerConfig,
    LogConfig,
    RunConfig,
)


def main() -> None:
    """Trains, or says what training would cost."""
    system = config_flags.preset()
    system = dataclasses.replace(
        system,
        data=config_flags.resolve(system.data),
        unet=config_flags.resolve(system.unet),
        diffusion=config_flags.resolve(system.diffusion),
        teacher=config_flags.resolve(system.teacher),
        sampler=config_flags.resolve(system.sampler),
        log=config_flags.resolve(system.log),
    )
    run, directory = (
        config_flags.resolve(RunConfig()),
        config_flags.directory("teacher"),
    )
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.training(system.unet, system.teacher, run, system.log.checkpoints)
        launch.print_cost(f"train a teacher in {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.teacher")
    station.train_teacher(directory, system, run, progress=True)
    print(f"The teacher is in {directory}. Next: tf-student pairs")


if __name__ == "__main__":
    launch.run(main)
