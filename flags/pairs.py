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

from tf_student.config import RunConfig, SamplerConfig
from tf_student.errors import InputError
from tf_student.pairs.config import CheckConfig, EngineConfig, PairsConfig

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
    config, again = config_flags.resolve(CheckConfig()), ()
    if config.check or config.repair:
        found = _look(station, directory, teacher, run, config)
        if not found.to_make:
            return
        again = found.damaged
    manifest = station.make_pairs(
        directory, teacher, system, run, engine, again=again, progress=True
    )
    if manifest.complete:
        print(f"The pairs are in {directory}. Next: tf-student distill")
    else:
        print(
            f"The pairs of worker {engine.worker_index} of {engine.num_workers} are in "
            f"{directory}; others' are missing."
        )


def _look(station, directory: str, teacher: str, run: RunConfig, config: CheckConfig):
    """What is wrong with the pairs; an error unless it is to be repaired."""
    found = station.check_pairs(directory, teacher, run, images=config.check_images)
    if found.to_make and not config.repair:
        raise InputError(f"{found.text()} --repair makes them again.")
    print(found.text(), flush=True)
    return found


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
    launch.run(main)
