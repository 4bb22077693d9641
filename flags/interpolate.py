"""Draws interpolations between images of a student.

    tf-student interpolate --preset=digits --rows=8 --columns=10

Each row interpolates spherically between two noise tensors. Writes interpolation.png to
the work directory.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.models.draw_config import InterpolateConfig
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("student", "matched")
config_flags.define_network("student", "matched")
config_flags.define(InterpolateConfig, RunConfig, without=config_flags.TRAINING_ONLY)


def main() -> None:
    """Draws."""
    models = launch.import_quietly("tf_student.models.draw")
    path = models.draw_interpolations(
        config_flags.directory(flags.FLAGS.network),
        config_flags.work_dir(),
        config=config_flags.resolve(InterpolateConfig()),
        run=config_flags.resolve(RunConfig()),
    )
    print(f"The interpolations are in {path}.")


def plan() -> launch.Plan:
    """Returns what drawing would cost."""
    preset, config = config_flags.preset(), config_flags.resolve(InterpolateConfig())
    cost = launch.costs().sampling(
        preset.unet,
        preset.diffusion,
        preset.sampler,
        config.rows * config.columns,
        student=True,
    )
    return f"draw interpolations into {config_flags.work_dir()}", cost


if __name__ == "__main__":
    launch.run(main, plan)
