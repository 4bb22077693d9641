"""Generates a pair set in this process or with Apache Beam."""

import functools
from collections.abc import Sequence

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.pairs import manifests, shard_index, writer
from tf_student.pairs.interface import Sample
from tf_student.pairs.pairs_config import EngineConfig, PairsConfig
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def plan_pairs(
    teacher: Teacher, config: PairsConfig, sampler: SamplerConfig, run: RunConfig
) -> manifests.Manifest:
    """Plans the manifest of the pairs that a teacher would generate."""
    return manifests.plan(
        teacher.fingerprint,
        teacher.image_shape,
        teacher.diffusion,
        sampler,
        config,
        run,
        teacher.classes,
    )


def in_this_process(
    teacher: Teacher | str,
    directory: str,
    config: PairsConfig,
    sampler: SamplerConfig,
    engine: EngineConfig,
    remake: Sequence[str],
    run: RunConfig,
    progress: bool,
) -> manifests.Manifest:
    """Writes this worker's shards; the arguments are those of `make_pairs`."""
    teacher = as_teacher(teacher)
    generator = teacher.generator(devices.open_devices(run), sampler, run)
    manifest = plan_pairs(teacher, config, sampler, run)
    # Another worker may have re-generated its own shards since they were checked.
    own = set(manifest.shards[engine.worker_index :: engine.num_workers])
    theirs = {shard.name for shard in manifest.shards if shard not in own}
    mine = [name for name in remake if name not in theirs]
    shard_index.forget(directory, manifest, mine)
    return writer.write_pairs(
        directory,
        manifest,
        generator,
        batch=generator.batch,
        worker_index=engine.worker_index,
        num_workers=engine.num_workers,
        progress=progress,
    )


def with_beam(
    teacher: Teacher | str,
    directory: str,
    config: PairsConfig,
    sampler: SamplerConfig,
    engine: EngineConfig,
    remake: Sequence[str],
    run: RunConfig,
    progress: bool,
) -> manifests.Manifest:
    """Runs a Beam pipeline; the arguments are those of `make_pairs`.

    Beam reports its progress itself.

    Raises:
        InputError: if the teacher is an object, or Apache Beam is not installed.
    """
    if not isinstance(teacher, str):
        raise InputError(
            "`teacher` must be a directory with engine=beam, because each worker "
            f"process loads it. Received: {type(teacher).__name__}."
        )
    try:
        from tf_student.pairs import beam
    except ImportError as error:
        raise InputError(
            "`engine` must be local, because Apache Beam is not installed: "
            "pip install 'tf-student[beam]'. Received: engine=beam."
        ) from error
    devices.open_devices(run)
    manifest = plan_pairs(as_teacher(teacher), config, sampler, run)
    shard_index.forget(directory, manifest, remake)
    options = [option for option in engine.beam_options.split(",") if option]
    opener = functools.partial(_open_sampler, teacher, sampler, run)
    return beam.write_pairs(directory, manifest, opener, options)


def _open_sampler(
    directory: str, sampler: SamplerConfig, run: RunConfig
) -> tuple[Sample, int]:
    """Loads a teacher in a Beam worker, because a network cannot be pickled."""
    strategy = devices.open_devices(run)
    generator = as_teacher(directory).generator(strategy, sampler, run)
    return generator, generator.batch
