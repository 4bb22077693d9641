"""Trains a student, from the teacher's weights, to give its image in one call.

    tf-student distill --preset=digits
    tf-student distill --flagfile=flags/recipes/cifar10.flags

Run the same command again to go on after an interruption.
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import DistillConfig, LogConfig, RunConfig, TrainConfig

config_flags.define_common("teacher", "pairs", "student")
config_flags.define(DistillConfig, TrainConfig, LogConfig, RunConfig)


def main() -> None:
    """Trains, or says what training would cost."""
    system = config_flags.preset()
    system = dataclasses.replace(
        system,
        distill=config_flags.resolve(system.distill),
        student=config_flags.resolve(system.student),
        log=config_flags.resolve(system.log),
    )
    run, directory = (
        config_flags.resolve(RunConfig()),
        config_flags.directory("student"),
    )
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.training(system.unet, system.student, run, system.log.checkpoints)
        launch.print_cost(f"train a student in {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.distill")
    station.distill(
        directory,
        config_flags.directory("teacher"),
        config_flags.directory("pairs"),
        system,
        run,
        progress=True,
    )
    print(f"The student is in {directory}. Next: tf-student evaluate")


if __name__ == "__main__":
    launch.run(main)
