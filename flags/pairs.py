"""Samples from the teacher and stores (noise seed, image) pairs.

    tf-student pairs --preset=digits
    tf-student pairs --flagfile=flags/recipes/cifar10.flags --num_workers=8
    tf-student pairs --preset=digits --check

Run the same command again to continue after an interruption; finished shards are kept.
Several workers can share the shards of a set: --worker_index tells each worker its
part. In a Slurm job array or a Kubernetes indexed job, the flag is set automatically.
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
config_flags.define(
    PairsConfig,
    SamplerConfig,
    EngineConfig,
    CheckConfig,
    RunConfig,
    without=config_flags.TRAINING_ONLY,
)


def _preset() -> Preset:
    return config_flags.preset("pairs", "sampler")


def _engine() -> EngineConfig:
    return config_flags.resolve(worker_from(os.environ, flags.FLAGS.num_workers))


def main() -> None:
    """Writes the pairs, imports them or checks them."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    engine = _engine()
    check = config_flags.resolve(CheckConfig())
    pairs = launch.import_quietly("tf_student.pairs.make_pairs")
    teacher = config_flags.directory("teacher")
    directory = config_flags.directory("pairs")
    options = {"config": preset.pairs, "sampler": preset.sampler, "run": run}
    if engine.import_from:
        pairs.import_pairs(teacher, engine.import_from, directory, **options)
        print(f"The pairs are in {directory}. Next: tf-student distill")
        return
    damaged = ()
    if check.check or check.repair:
        findings = _check(pairs, teacher, directory, check, run)
        if not findings.to_generate:
            return
        damaged = findings.damaged
    pair_set = pairs.make_pairs(
        teacher, directory, engine=engine, remake=damaged, progress=True, **options
    )
    if pair_set is None:
        print(
            f"The pairs of worker {engine.worker_index} of {engine.num_workers} are in "
            f"{directory}. Shards of other workers are still missing."
        )
    else:
        print(f"The pairs are in {directory}. Next: tf-student distill")


def plan() -> launch.Plan:
    """Returns what the pairs would cost."""
    preset, run = _preset(), config_flags.resolve(RunConfig())
    _engine()  # Raises an error if the index of the worker is wrong.
    cost = launch.costs().pairs(
        preset.unet, preset.diffusion, preset.sampler, preset.pairs, run
    )
    return f"write pairs to {config_flags.directory('pairs')}", cost


def _check(pairs, teacher: str, directory: str, check: CheckConfig, run: RunConfig):
    """Checks the pairs; raises an error on faults unless they are to be repaired."""
    findings = pairs.check_pairs(teacher, directory, images=check.check_images, run=run)
    if findings.to_generate and not check.repair:
        raise InputError(f"{findings.text()} --repair re-generates them.")
    print(findings.text(), flush=True)
    return findings


def worker_from(
    environment: Mapping[str, str], num_workers: int | None = None
) -> EngineConfig:
    """Returns the worker index that Slurm or Kubernetes assigned to this process.

    Args:
        environment: the environment variables. Slurm job arrays set
            SLURM_ARRAY_TASK_ID and others; Kubernetes indexed jobs set
            JOB_COMPLETION_INDEX but not the number of workers, for which a manifest
            must set NUM_WORKERS.
        num_workers: number of workers, in place of the one in the environment.

    Returns:
        The default config if the environment has no index.

    Raises:
        InputError: if the environment has an index but no number of workers.
    """
    index = environment.get("JOB_COMPLETION_INDEX")
    count, first, step = environment.get("NUM_WORKERS"), "0", "1"
    if "SLURM_ARRAY_TASK_ID" in environment:
        index = environment["SLURM_ARRAY_TASK_ID"]
        count = environment.get("SLURM_ARRAY_TASK_COUNT")
        first = environment.get("SLURM_ARRAY_TASK_MIN", "0")
        step = environment.get("SLURM_ARRAY_TASK_STEP", "1")
    if index is None:
        return EngineConfig()
    if num_workers is not None:
        count = str(num_workers)
    try:
        position, workers = (int(index) - int(first)) // int(step), int(count or "")
    except ValueError as error:
        raise InputError(
            "`num_workers`, or the environment variable NUM_WORKERS, must be a number "
            f"in a job with an index. Received: index={index}, num_workers={count}."
        ) from error
    return EngineConfig(worker_index=position, num_workers=workers)


if __name__ == "__main__":
    launch.run(main, plan)
