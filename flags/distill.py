"""Trains a student, from the teacher's weights, to give its image in one call.

    tf-student distill --preset=digits
    tf-student distill --flagfile=flags/recipes/cifar10.flags
    tf-student distill --preset=digits --online

Run the same command again to go on after an interruption. The flags of the pairs and of
the sampler are for --online alone: stored pairs are as they were made.
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import (
    DistillConfig,
    LogConfig,
    RunConfig,
    SamplerConfig,
    TrainConfig,
)
from tf_student.errors import InputError
from tf_student.pairs.config import PairsConfig

config_flags.define_common("teacher", "pairs", "student")
config_flags.define(
    DistillConfig, PairsConfig, SamplerConfig, TrainConfig, LogConfig, RunConfig
)


def main() -> None:
    """Trains, or says what training would cost."""
    system = config_flags.preset()
    system = dataclasses.replace(
        system,
        distill=config_flags.resolve(system.distill),
        pairs=config_flags.resolve(system.pairs),
        sampler=config_flags.resolve(system.sampler),
        student=config_flags.resolve(system.student),
        log=config_flags.resolve(system.log),
    )
    if not system.distill.online:
        _refuse_flags_of(PairsConfig, SamplerConfig)
    run, directory = (
        config_flags.resolve(RunConfig()),
        config_flags.directory("student"),
    )
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.training(system.unet, system.student, run, system.log.checkpoints)
        if system.distill.online:
            cost |= costs.online(
                system.diffusion, system.sampler, system.pairs, system.student
            )
        launch.print_cost(f"train a student in {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.distill")
    station.distill(
        directory,
        config_flags.directory("teacher"),
        _pairs_directory(system.distill.online),
        system,
        run,
        progress=True,
    )
    print(f"The student is in {directory}. Next: tf-student evaluate")


def _refuse_flags_of(*kinds: type) -> None:
    for name in (field.name for kind in kinds for field in dataclasses.fields(kind)):
        if (value := flags.FLAGS[name].value) is not None:
            raise InputError(
                f"`{name}` must be given with `online` alone: stored pairs are as they "
                f"were made. Received: {name}={value}."
            )


def _pairs_directory(online: bool) -> str | None:
    """Where the pairs are; online, only what the command line says against that."""
    return flags.FLAGS.pairs_dir if online else config_flags.directory("pairs")


if __name__ == "__main__":
    launch.run(main)
