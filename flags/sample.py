"""Draws images: a grid, and a folder of PNGs.

tf-student sample --preset=digits --what=both --count=64
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import RunConfig, SampleConfig, SamplerConfig

config_flags.define_common("teacher", "student")
config_flags.define(SampleConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Draws, or says what drawing would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    config = config_flags.resolve(SampleConfig())
    sampler = config_flags.resolve(system.sampler)
    directory = config_flags.work_dir()
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        one = config.what == "student"
        cost = costs.sampling(
            system.unet, system.diffusion, sampler, config.count, student=one
        )
        launch.print_cost(f"draw images into {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.draw")
    path = station.sample(
        directory,
        config_flags.directory("teacher"),
        config_flags.directory("student"),
        config,
        sampler,
        run,
    )
    print(f"The images are in {path} and {directory}/samples.")


if __name__ == "__main__":
    launch.run(main)
