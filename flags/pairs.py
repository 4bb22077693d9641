"""Lets the teacher sample, and stores (noise seed, image) pairs.

    tf-student pairs --preset=digits
    tf-student pairs --flagfile=flags/recipes/cifar10.flags --num_workers=8
    tf-student pairs --preset=digits --check

Run the same command again to go on after an interruption; finished files are kept.
Several workers share a set by their index: in a job array of Slurm and an indexed job
of Kubernetes they know it by themselves.
"""

import os
from collections.abc import Mapping

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs.pairs_config import CheckConfig, EngineConfig, PairsConfig
from tf_student.presets.systems import Preset
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("teacher", "pairs")
config_flags.define(PairsConfig, SamplerConfig, EngineConfig, CheckConfig, RunConfig)


def _preset() -> Preset:
    return config_flags.preset("pairs", "sampler")


def main() -> None:
    """Writes the pairs, imports them or checks them."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    engine = config_flags.resolve(worker_from(os.environ, flags.FLAGS.num_workers))
    teacher = config_flags.directory("teacher")
    directory = config_flags.directory("pairs")
    pairs = launch.import_quietly("tf_student.pairs.make_pairs")
    options = {"config": preset.pairs, "sampler": preset.sampler, "run": run}
    if engine.import_from:
        pairs.import_pairs(teacher, engine.import_from, directory, **options)
        print(
            f"The pairs of {engine.import_from} are in {directory}. "
            "Next: tf-student distill"
        )
        return
    check, damaged = config_flags.resolve(CheckConfig()), ()
    if check.check or check.repair:
        findings = _check(pairs, teacher, directory, check, run)
        if not findings.to_make:
            return
        damaged = findings.damaged
    made = pairs.make_pairs(
        teacher, directory, engine=engine, remake=damaged, progress=True, **options
    )
    if made:
        print(f"The pairs are in {directory}. Next: tf-student distill")
    else:
        print(
            f"The pairs of worker {engine.worker_index} of {engine.num_workers} are in "
            f"{directory}; those of other workers are missing."
        )


def plan() -> launch.Plan:
    """What the pairs would cost."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    cost = launch.costs().pairs(
        preset.unet, preset.diffusion, preset.sampler, preset.pairs, run
    )
    return f"write pairs to {config_flags.directory('pairs')}", cost


def _check(pairs, teacher: str, directory: str, check: CheckConfig, run: RunConfig):
    """What is wrong with the pairs; an error unless they are to be repaired."""
    findings = pairs.check_pairs(teacher, directory, images=check.check_images, run=run)
    if findings.to_make and not check.repair:
        raise InputError(f"{findings.text()} --repair generates them again.")
    print(findings.text(), flush=True)
    return findings


def worker_from(
    environment: Mapping[str, str], num_workers: int | None = None
) -> EngineConfig:
    """This process' place in a job array of Slurm, or in Kubernetes' indexed job.

    Args:
        environment: the process' variables.
        num_workers: as the command line says; else Slurm does, and for Kubernetes,
            which does not, the variable NUM_WORKERS.

    Raises:
        InputError: if a place is known and the number of workers is not.
    """
    index = environment.get("JOB_COMPLETION_INDEX")
    count, first, step = environment.get("NUM_WORKERS"), 0, 1
    if "SLURM_ARRAY_TASK_ID" in environment:
        index = environment["SLURM_ARRAY_TASK_ID"]
        count = environment.get("SLURM_ARRAY_TASK_COUNT")
        first = environment.get("SLURM_ARRAY_TASK_MIN", 0)
        step = environment.get("SLURM_ARRAY_TASK_STEP", 1)
    if index is None:
        return EngineConfig()
    count = count if num_workers is None else num_workers
    try:
        place = (int(index) - int(first)) // int(step)
        return EngineConfig(worker_index=place, num_workers=int(count))
    except (TypeError, ValueError) as error:
        raise InputError(
            "`num_workers` must be given, or the variable NUM_WORKERS, where a job has "
            f"an index. Received: index={index}, num_workers={count}."
        ) from error


if __name__ == "__main__":
    launch.run(main, plan)
