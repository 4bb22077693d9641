"""Measures teacher and student against real images: FID, KID, IS and other scores.

    tf-student evaluate --preset=digits
    tf-student evaluate --preset=cifar10 --extractor=/models/inception --fid_infinity
    tf-student evaluate --preset=cifar10 --dpm_calls=12

A matched student is measured too if it exists.

Writes evaluation.json and evaluation.html to the work directory. --source and --against
compare any two sources of images instead:

    tf-student evaluate --source=/models/digits/1 --extractor=digits --samples=10000
    tf-student evaluate --source=samples/ --against=reference.npz --samples=50000
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import CompareConfig, EvaluateConfig
from tf_student.presets.systems import Preset
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("teacher", "pairs", "student", "matched")
config_flags.define(
    EvaluateConfig,
    CompareConfig,
    DataConfig,
    SamplerConfig,
    RunConfig,
    without=(*config_flags.TRAINING_ONLY, "flip"),
)


def _preset() -> Preset:
    return config_flags.preset("evaluate", "data", "sampler")


def _matched() -> str | None:
    """Returns the directory of the matched student, if it exists or is named."""
    directory = config_flags.directory("matched")
    weights = launch.import_quietly("tf_student.models.weights_file")
    named = flags.FLAGS.matched_dir is not None
    return directory if named or weights.exists(directory) else None


def main() -> None:
    """Measures."""
    preset, comparison = _preset(), config_flags.resolve(CompareConfig())
    directory = config_flags.work_dir()
    options = {
        "real": preset.data,
        "config": preset.evaluate,
        "sampler": preset.sampler,
        "run": config_flags.resolve(RunConfig()),
        "progress": True,
    }
    if comparison.source:
        evaluation = launch.import_quietly("tf_student.evaluation.compare").compare(
            comparison.source, comparison.against, directory, **options
        )
    else:
        evaluation = launch.import_quietly("tf_student.evaluation.evaluate").evaluate(
            config_flags.directory("teacher"),
            config_flags.directory("student"),
            directory,
            matched=_matched(),
            pairs=config_flags.directory("pairs"),
            **options,
        )
    print(evaluation)
    print(f"The report is {directory}/evaluation.html.")


def plan() -> launch.Plan:
    """Returns what the evaluation would cost."""
    preset, comparison = _preset(), config_flags.resolve(CompareConfig())
    directory, config = config_flags.work_dir(), preset.evaluate
    count = config.samples * config.repeats
    if comparison.source:
        cost = {"images (at most)": count}
        return f"measure {comparison.source} and write to {directory}", cost
    cost = launch.costs().sampling(
        preset.unet, preset.diffusion, preset.sampler, count + config.same_noise
    )
    return f"evaluate {directory} (cost without stored pairs)", cost


if __name__ == "__main__":
    launch.run(main, plan)
