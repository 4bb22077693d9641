"""Trains a teacher: a DDPM on real images.

    tf-student teacher --preset=digits
    tf-student teacher --flagfile=flags/recipes/cifar10.flags

Run the same command again to continue after an interruption.
"""

from tf_student.flags import config_flags, launch

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.presets.systems import Preset
from tf_student.runtime.run_config import RunConfig
from tf_student.training.training_config import LogConfig, TrainConfig

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


def _preset() -> Preset:
    return config_flags.preset("data", "unet", "diffusion", "teacher", "sampler", "log")


def main() -> None:
    """Trains."""
    preset, directory = _preset(), config_flags.directory("teacher")
    training = launch.import_quietly("tf_student.training.train_teacher")
    training.train_teacher(
        directory,
        data=preset.data,
        unet=preset.unet,
        diffusion=preset.diffusion,
        train=preset.teacher,
        sampler=preset.sampler,
        log=preset.log,
        run=config_flags.resolve(RunConfig()),
        progress=True,
    )
    print(f"The teacher is in {directory}. Next: tf-student pairs")


def plan() -> launch.Plan:
    """Returns what training would cost."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    cost = launch.costs().training(
        preset.unet, preset.teacher, run, preset.log.checkpoints
    )
    return f"train a teacher in {config_flags.directory('teacher')}", cost


if __name__ == "__main__":
    launch.run(main, plan)
