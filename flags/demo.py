"""Runs all commands on 1,797 real digits and writes one page with the results.

    tf-student demo
    tf-student demo --preset=digits_long --work_dir=runs/long

Run the same command again to continue after an interruption.
"""

import os

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.runtime.run_config import RunConfig

config_flags.define_common(work_dir="runs/demo")
config_flags.define(RunConfig)


def _directory() -> str:
    return flags.FLAGS.work_dir or "runs/demo"


def main() -> None:
    """Runs the demo."""
    directory = _directory()
    demo = launch.import_quietly("tf_student.demo")
    evaluation = demo.run_demo(
        directory,
        preset=config_flags.preset(),
        run=config_flags.resolve(RunConfig()),
        name=flags.FLAGS.preset,
        progress=True,
    )
    print(f"\n{evaluation}\n")
    for name in ("samples.png", "interpolation.png", "curves.png", "report.html"):
        print(f"  {os.path.join(directory, name)}")
    print(
        f"Open {os.path.join(directory, 'report.html')} in a browser. "
        f"To start over, remove {directory}."
    )


def plan() -> launch.Plan:
    """Returns what the demo would cost."""
    preset, run = config_flags.preset(), config_flags.resolve(RunConfig())
    cost = launch.costs().pairs(
        preset.unet, preset.diffusion, preset.sampler, preset.pairs, run
    )
    steps = {
        "teacher steps": preset.teacher.steps,
        "student steps": preset.student.steps,
        "matching steps": preset.matching.steps,
    }
    return f"run all commands below {_directory()}", cost | steps


if __name__ == "__main__":
    launch.run(main, plan)
