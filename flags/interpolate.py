"""Draws walks from one image of the student to another (slerp of the noise).

tf-student interpolate --preset=digits --rows=8 --columns=10
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import InterpolateConfig, RunConfig

config_flags.define_common("student")
config_flags.define(InterpolateConfig, RunConfig)


def main() -> None:
    """Draws, or says what drawing would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    config = config_flags.resolve(InterpolateConfig())
    directory = config_flags.work_dir()
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        count = config.rows * config.columns
        cost = costs.sampling(
            system.unet, system.diffusion, system.sampler, count, student=True
        )
        launch.print_cost(f"draw walks into {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.draw")
    student = config_flags.directory("student")
    path = station.interpolate(directory, student, config, run)
    print(f"The walks are in {path}.")


if __name__ == "__main__":
    launch.run(main)
