"""Matches a distilled student to the distribution of its teacher's images.

    tf-student match --preset=digits
    tf-student match --flagfile=flags/recipes/cifar10.flags
    tf-student match --preset=digits --keep=fid --extractor=digits

Starts from the student of `distill`, needs no images, and can make the student better
than its teacher's sampler. Run the same command again to continue after an
interruption.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.data.data_config import DataConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.presets.systems import Preset
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import LogConfig, TrainConfig

_EXTRACTOR = ("extractor", "resize", "extractor_batch", "max_real")

config_flags.define_common("teacher", "student", "pairs", "matched")
config_flags.define(MatchConfig, TrainConfig, LogConfig, RunConfig)
config_flags.define(DataConfig, without=("flip",))
config_flags.define(EvaluateConfig, only=_EXTRACTOR)


def _preset() -> Preset:
    return config_flags.preset("match", "matching", "data", "evaluate", "log")


def main() -> None:
    """Matches."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    config, quality = preset.match, None
    if flags.FLAGS.pairs_dir and not config.regression:
        raise InputError(
            "`pairs_dir` must not be set without `regression`, which uses the pairs. "
            f"Received: pairs_dir={flags.FLAGS.pairs_dir}."
        )
    training = launch.import_quietly("tf_student.training.match_distribution")
    if config.keep == "fid":
        measuring = launch.import_quietly("tf_student.evaluation.image_quality")
        quality = measuring.ImageQuality(
            preset.data, samples=config.keep_samples, config=preset.evaluate
        )
    directory = config_flags.directory("matched")
    training.match_distribution(
        config_flags.directory("teacher"),
        config_flags.directory("student"),
        directory,
        config=config,
        pairs=config_flags.directory("pairs") if config.regression else None,
        real=preset.data if config.adversarial else None,
        quality=quality,
        train=preset.matching,
        log=preset.log,
        run=run,
        progress=True,
    )
    print(f"The matched student is in {directory}. Next: tf-student evaluate")


def plan() -> launch.Plan:
    """Returns what matching would cost."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    cost = launch.costs().matching(
        preset.unet, preset.match, preset.matching, run, preset.log.checkpoints
    )
    return f"match a student in {config_flags.directory('matched')}", cost


if __name__ == "__main__":
    launch.run(main, plan)
