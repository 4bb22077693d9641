"""Runs all stations on 1,797 real digits and leaves one page with the results.

tf-student demo
tf-student demo --preset=digits_long --work_dir=runs/long
"""

import os

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import RunConfig

config_flags.define_common()
config_flags.define(RunConfig)


def main() -> None:
    """Runs the demo, or says what it would cost."""
    system, run = config_flags.preset(), config_flags.resolve(RunConfig())
    directory = flags.FLAGS.work_dir or "runs/demo"
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.pairs(
            system.unet, system.diffusion, system.sampler, system.pairs, run
        )
        cost |= {
            "teacher steps": system.teacher.steps,
            "student steps": system.student.steps,
        }
        launch.print_cost(f"run all stations below {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.demo")
    evaluation = station.run_demo(
        directory, system, run, name=flags.FLAGS.preset, progress=True
    )
    print(f"\n{evaluation.table()}\n")
    for name in ("samples.png", "interpolation.png", "curves.png", "report.html"):
        print(f"  {os.path.join(directory, name)}")
    print(
        f"Open {os.path.join(directory, 'report.html')}. The same command goes on "
        f"where it was stopped; rm -r {directory} to start over."
    )


if __name__ == "__main__":
    launch.run(main)
