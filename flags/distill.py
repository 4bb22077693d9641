"""Trains a student, from the teacher's weights, to generate its image in one call.

    tf-student distill --preset=digits
    tf-student distill --flagfile=flags/recipes/cifar10.flags
    tf-student distill --preset=digits --online

Run the same command again to continue after an interruption. The flags of the pairs and
of the sampler are only for --online: stored pairs are as they were made.
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs.pairs_config import OnlineConfig, PairsConfig
from tf_student.presets.systems import Preset
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig

config_flags.define_common("teacher", "pairs", "student")
config_flags.define(
    DistillConfig,
    OnlineConfig,
    PairsConfig,
    SamplerConfig,
    TrainConfig,
    LogConfig,
    RunConfig,
)


def _preset() -> tuple[Preset, bool]:
    """The preset, and whether the pairs are generated on demand."""
    online = config_flags.resolve(OnlineConfig()).online
    if online and flags.FLAGS.pairs_dir:
        raise InputError(
            "`pairs_dir` must be left out with `online`, which stores no pairs. "
            f"Received: pairs_dir={flags.FLAGS.pairs_dir}."
        )
    if not online:
        _refuse_flags_of(PairsConfig, SamplerConfig)
    preset = config_flags.preset("distill", "pairs", "sampler", "student", "log")
    return preset, online


def _refuse_flags_of(*kinds: type) -> None:
    for name in (field.name for kind in kinds for field in dataclasses.fields(kind)):
        if (value := flags.FLAGS[name].value) is not None:
            raise InputError(
                f"`{name}` must be given only with `online`: stored pairs are as they "
                f"were made. Received: {name}={value}."
            )


def main() -> None:
    """Trains."""
    preset, online = _preset()
    run, directory = (
        config_flags.resolve(RunConfig()),
        config_flags.directory("student"),
    )
    teacher = config_flags.directory("teacher")
    pairs = config_flags.directory("pairs")
    training = launch.import_quietly("tf_student.training.distill")
    if online:
        pairs_commands = launch.import_quietly("tf_student.pairs.make_pairs")
        pairs = pairs_commands.online_pairs(
            teacher, config=preset.pairs, sampler=preset.sampler, run=run
        )
    training.distill(
        teacher,
        pairs,
        directory,
        config=preset.distill,
        train=preset.student,
        log=preset.log,
        run=run,
        progress=True,
    )
    print(f"The student is in {directory}. Next: tf-student evaluate")


def plan() -> launch.Plan:
    """What training would cost."""
    preset, online = _preset()
    run, costs = config_flags.resolve(RunConfig()), launch.costs()
    cost = costs.training(preset.unet, preset.student, run, preset.log.checkpoints)
    if online:
        cost |= costs.online(
            preset.diffusion, preset.sampler, preset.pairs, preset.student
        )
    return f"train a student in {config_flags.directory('student')}", cost


if __name__ == "__main__":
    launch.run(main, plan)
