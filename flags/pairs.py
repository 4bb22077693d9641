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
    index, count = flags.FLAGS.worker_index, flags.FLAGS.num_workers
    given = index is not None and count is not None
    return config_flags.resolve(worker_from({} if given else os.environ, count))


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
    if "SLURM_ARRAY_TASK_ID" in environment:
        return _task_of_array(environment, num_workers)
    if "JOB_COMPLETION_INDEX" not in environment:
        return EngineConfig()
    index = _integer(environment, "JOB_COMPLETION_INDEX")
    if num_workers is None:
        num_workers = _integer(environment, "NUM_WORKERS")
    return EngineConfig(worker_index=index, num_workers=num_workers)


def _task_of_array(
    environment: Mapping[str, str], num_workers: int | None
) -> EngineConfig:
    """Returns the worker of a task of a Slurm job array.

    The tasks of a whole array are the workers in their order. Some tasks of an array,
    which repeat the failed ones, have the index of a worker as their ID.
    """
    task = _integer(environment, "SLURM_ARRAY_TASK_ID")
    first = _integer(environment, "SLURM_ARRAY_TASK_MIN", 0)
    last = _integer(environment, "SLURM_ARRAY_TASK_MAX", -1)
    step = max(1, _integer(environment, "SLURM_ARRAY_TASK_STEP", 1))
    tasks = _integer(environment, "SLURM_ARRAY_TASK_COUNT", num_workers)
    has_gaps = last >= 0 and (last - first) // step + 1 != tasks
    if has_gaps and num_workers is None:
        raise InputError(
            "`num_workers` must be given for a job array with gaps, whose task IDs are "
            "the indices of workers. Received: SLURM_ARRAY_TASK_COUNT="
            f"{tasks} from {first} to {last}."
        )
    if has_gaps or num_workers not in (None, tasks):
        return EngineConfig(worker_index=task, num_workers=num_workers or 0)
    return EngineConfig(worker_index=(task - first) // step, num_workers=tasks)


def _integer(
    environment: Mapping[str, str], name: str, default: int | None = None
) -> int:
    """Returns an environment variable that is a number."""
    value = environment.get(name)
    if value is None and default is not None:
        return default
    try:
        return int(value or "")
    except ValueError as error:
        raise InputError(
            f"The environment variable {name} must be a number in a job with an index, "
            f"unless --num_workers replaces it. Received: {name}={value}."
        ) from error


if __name__ == "__main__":
    launch.run(main, plan)
