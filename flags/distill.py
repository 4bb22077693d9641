"""Trains a student, which generates an image in one network call.

    tf-student distill --preset=digits
    tf-student distill --flagfile=flags/recipes/cifar10.flags
    tf-student distill --preset=digits --online

Run the same command again to continue after an interruption. Flags of the pairs and
of the sampler are accepted only with --online: stored pairs cannot change.
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
    """Returns the preset, and whether to generate the pairs on demand."""
    online = config_flags.resolve(OnlineConfig()).online
    if online and flags.FLAGS.pairs_dir:
        raise InputError(
            "`pairs_dir` must not be set with `online`, which stores no pairs. "
            f"Received: pairs_dir={flags.FLAGS.pairs_dir}."
        )
    if not online:
        _check_unset(PairsConfig, SamplerConfig)
    preset = config_flags.preset("distill", "pairs", "sampler", "student", "log")
    return preset, online


def _check_unset(*kinds: type) -> None:
    for name in (field.name for kind in kinds for field in dataclasses.fields(kind)):
        if (value := flags.FLAGS[name].value) is not None:
            raise InputError(
                f"`{name}` can be set only with `online`: stored pairs cannot change. "
                f"Received: {name}={value}."
            )


def main() -> None:
    """Trains."""
    preset, online = _preset()
    run = config_flags.resolve(RunConfig())
    teacher = config_flags.directory("teacher")
    pairs = config_flags.directory("pairs")
    training = launch.import_quietly("tf_student.training.distill")
    if online:
        generation = launch.import_quietly("tf_student.pairs.make_pairs")
        pairs = generation.online_pairs(
            teacher, config=preset.pairs, sampler=preset.sampler, run=run
        )
    directory = config_flags.directory("student")
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
    """Returns what training would cost."""
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
