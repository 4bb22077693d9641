"""Lets the teacher sample, and stores (noise seed, image) pairs.

    tf-student pairs --preset=digits
    tf-student pairs --flagfile=flags/recipes/cifar10.flags --num_workers=8
    tf-student pairs --preset=digits --check

Run the same command again to go on after an interruption; finished files are kept.
Several workers share a set by their index: in a job array of Slurm and an indexed job
of Kubernetes they know it by themselves.
"""

import dataclasses
import os
from collections.abc import Mapping

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import (
    CheckConfig,
    EngineConfig,
    PairsConfig,
    RunConfig,
    SamplerConfig,
)
from tf_student.errors import InputError

config_flags.define_common("teacher", "pairs")
config_flags.define(PairsConfig, SamplerConfig, EngineConfig, CheckConfig, RunConfig)


def main() -> None:
    """Writes the pairs, looks at them, or says what they would cost."""
    system = config_flags.preset()
    system = dataclasses.replace(
        system,
        pairs=config_flags.resolve(system.pairs),
        sampler=config_flags.resolve(system.sampler),
    )
    engine = config_flags.resolve(surroundings(os.environ, flags.FLAGS.num_workers))
    run, directory = config_flags.resolve(RunConfig()), config_flags.directory("pairs")
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        cost = costs.pairs(
            system.unet, system.diffusion, system.sampler, system.pairs, run
        )
        launch.print_cost(f"write pairs to {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.pairs")
    teacher = config_flags.directory("teacher")
    if engine.import_from:
        source = engine.import_from
        station.import_pairs(directory, teacher, source, system, run)
        print(f"The pairs of {source} are in {directory}. Next: tf-student distill")
        return
    config = config_flags.resolve(CheckConfig())
    if (config.check or config.repair) and _look(station, directory, run, config):
        return
    manifest = station.make_pairs(
        directory, teacher, system, run, engine, progress=True
    )
    if manifest.complete:
        print(f"The pairs are in {directory}. Next: tf-student distill")
    else:
        print(f"This worker's pairs are in {directory}; others' are missing.")


def _look(station, directory: str, run: RunConfig, config: CheckConfig) -> bool:
    """Prints what is wrong with the pairs; whether nothing is left to do."""
    teacher = config_flags.directory("teacher")
    found = station.check_pairs(directory, teacher, run, images=config.check_images)
    if not found.to_make:
        print(found.text())
        return True
    if not config.repair:
        raise InputError(f"{found.text()} --repair makes them again.")
    print(found.text(), flush=True)
    station.remove_damaged(directory, found)
    return False


def surroundings(
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
    count = environment.get("NUM_WORKERS")
    if "SLURM_ARRAY_TASK_ID" in environment:
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", 0))
        index = int(environment["SLURM_ARRAY_TASK_ID"]) - first
        count = environment.get("SLURM_ARRAY_TASK_COUNT")
    if index is None:
        return EngineConfig()
    if num_workers is None and count is None:
        raise InputError(
            "`num_workers` must be given, or the variable NUM_WORKERS, where "
            f"JOB_COMPLETION_INDEX is. Received: JOB_COMPLETION_INDEX={index}."
        )
    return EngineConfig(worker_index=int(index), num_workers=int(num_workers or count))


if __name__ == "__main__":
    launch.run(main)
