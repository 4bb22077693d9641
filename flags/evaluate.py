"""Measures FID, KID and IS of teacher and student with TF-GAN's functions.

tf-student evaluate --preset=digits
tf-student evaluate --preset=cifar10 --extractor=/models/inception --samples=50000
"""

import dataclasses

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import DataConfig, EvaluateConfig, RunConfig, SamplerConfig

config_flags.define_common("teacher", "pairs", "student")
config_flags.define(EvaluateConfig, DataConfig, SamplerConfig, RunConfig)


def main() -> None:
    """Measures, or says what measuring would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    system = dataclasses.replace(
        system,
        evaluate=config_flags.resolve(system.evaluate),
        data=config_flags.resolve(system.data),
        sampler=config_flags.resolve(system.sampler),
    )
    directory = config_flags.work_dir()
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        count = system.evaluate.samples * system.evaluate.repeats
        cost = costs.sampling(system.unet, system.diffusion, system.sampler, count)
        launch.print_cost(f"evaluate, without stored pairs, {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.evaluate")
    evaluation = station.evaluate(
        directory,
        config_flags.directory("teacher"),
        config_flags.directory("pairs"),
        config_flags.directory("student"),
        system,
        run,
    )
    print(evaluation.table())


if __name__ == "__main__":
    launch.run(main)
