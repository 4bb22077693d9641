"""Measures teacher and student against real images: FID, KID, IS and their like.

    tf-student evaluate --preset=digits
    tf-student evaluate --preset=cifar10 --extractor=/models/inception --fid_infinity

Leaves evaluation.json and evaluation.html in the work directory. Any two sources of
images are measured with --source and --against:

    tf-student evaluate --source=/models/digits/1 --extractor=digits --samples=10000
    tf-student evaluate --source=samples/ --against=reference.npz --samples=50000
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import DataConfig, RunConfig, SamplerConfig
from tf_student.evaluation.config import CompareConfig, EvaluateConfig

config_flags.define_common("teacher", "pairs", "student")
config_flags.define(EvaluateConfig, CompareConfig, DataConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Measures, or says what measuring would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    system = dataclasses.replace(
        system,
        evaluate=config_flags.resolve(system.evaluate),
        data=config_flags.resolve(system.data),
        sampler=config_flags.resolve(system.sampler),
    )
    comparison = config_flags.resolve(CompareConfig())
    directory = config_flags.work_dir()
    if flags.FLAGS.dry_run:
        _print_cost(system, comparison, directory)
        return
    station = launch.import_quietly("tf_student.stations.evaluate")
    if comparison.source:
        evaluation = station.compare(directory, comparison, system, run, progress=True)
    else:
        parts = (config_flags.directory(n) for n in ("teacher", "pairs", "student"))
        evaluation = station.evaluate(directory, *parts, system, run, progress=True)
    print(evaluation.table())
    print(f"The page is {directory}/evaluation.html.")


def _print_cost(system, comparison: CompareConfig, directory: str) -> None:
    config = system.evaluate
    count = config.samples * config.repeats
    if comparison.source:
        cost = {"images (at most)": count}
        launch.print_cost(f"measure {comparison.source} into {directory}", cost)
        return
    costs = launch.import_quietly("tf_student.costs")
    cost = costs.sampling(
        system.unet, system.diffusion, system.sampler, count + config.same_noise
    )
    launch.print_cost(f"evaluate, without stored pairs, {directory}", cost)


if __name__ == "__main__":
    launch.run(main)
