"""Lets the teacher sample, and stores (noise seed, image) pairs.

    tf-student pairs --preset=digits
    tf-student pairs --flagfile=flags/recipes/cifar10.flags

Run the same command again to go on after an interruption; finished files are kept.
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import PairsConfig, RunConfig, SamplerConfig

config_flags.define_common("teacher", "pairs")
config_flags.define(PairsConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Writes the pairs, or says what they would cost."""
    system = config_flags.preset()
    system = dataclasses.replace(
        system,
        pairs=config_flags.resolve(system.pairs),
        sampler=config_flags.resolve(system.sampler),
    )
    run, directory = config_flags.resolve(RunConfig()), config_flags.directory("pairs")
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.pairs(
            system.unet, system.diffusion, system.sampler, system.pairs, run
        )
        launch.print_cost(f"write pairs to {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.pairs")
    teacher = config_flags.directory("teacher")
    station.make_pairs(directory, teacher, system, run, progress=True)
    print(f"The pairs are in {directory}. Next: tf-student distill")


if __name__ == "__main__":
    launch.run(main)
