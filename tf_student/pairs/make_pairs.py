"""The command `pairs`: a teacher's images for seeded noise."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.pairs import checker, importer, manifests, shard_index, writer
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.pairs_config import EngineConfig, PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def make_pairs(
    teacher: Teacher | str,
    directory: str,
    *,
    count: int | None = None,
    config: PairsConfig = PairsConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    engine: EngineConfig = EngineConfig(),
    remake: Sequence[str] = (),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> PairSet | None:
    """Writes the teacher's images for seeded noise, or one worker's part of them.

    An interrupted call continues where it stopped: finished shards are kept.

    Args:
        teacher: a teacher or its directory.
        directory: of the pairs; created if it is missing.
        count: training pairs, in place of `config.pairs`.
        config: number, seed and encoding of the pairs.
        sampler: the teacher's solver and steps.
        engine: who makes the pairs, and which part of them.
        remake: names of shards to re-generate although they exist.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The pair set; None while shards of other workers are missing.

    Raises:
        InputError: if the directory holds other pairs, or the disk is too small.
        Preempted: on SIGTERM. Finished shards stay.

    Example:

    >>> pairs = make_pairs(teacher, "runs/digits/pairs", count=2000)
    """
    if count is not None:
        config = dataclasses.replace(config, pairs=count)
    if engine.engine == "beam":
        manifest = _with_beam(teacher, directory, config, sampler, engine, remake, run)
    else:
        teacher = as_teacher(teacher)
        generator = teacher.generator(devices.open_devices(run), sampler, run)
        manifest = plan_pairs(teacher, config, sampler, run)
        shard_index.forget(directory, manifest, remake)
        manifest = writer.write_pairs(
            directory,
            manifest,
            generator,
            batch=generator.batch,
            worker_index=engine.worker_index,
            num_workers=engine.num_workers,
            progress=progress,
        )
    return PairSet(directory) if manifest.complete else None


def plan_pairs(
    teacher: Teacher, config: PairsConfig, sampler: SamplerConfig, run: RunConfig
) -> manifests.Manifest:
    """The manifest of the pairs that a teacher would make."""
    return manifests.plan(
        teacher.fingerprint,
        teacher.image_shape,
        teacher.diffusion,
        sampler,
        config,
        run,
    )


def online_pairs(
    teacher: Teacher | str,
    *,
    config: PairsConfig = PairsConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> OnlinePairs:
    """Pairs that the teacher generates on demand; none are stored.

    They are those that `make_pairs` would store for the same arguments, so that a
    student trained on either is the same.

    Raises:
        InputError: if `TF_CONFIG` names several workers, which need stored pairs.

    Example:

    >>> pairs = online_pairs(teacher, config=PairsConfig(pairs=2000))
    """
    workers = devices.workers_in_environment()
    if workers > 1:
        raise InputError(
            "`online` must be off where TF_CONFIG names several workers: these share "
            f"stored pairs. Received: online=True, workers={workers}."
        )
    teacher = as_teacher(teacher)
    generator = teacher.generator(devices.open_devices(run), sampler, run)
    manifest = plan_pairs(teacher, config, sampler, run)
    return OnlinePairs(manifest, generator, batch=generator.batch)


def import_pairs(
    teacher: Teacher | str,
    source: str,
    directory: str,
    *,
    config: PairsConfig = PairsConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> PairSet:
    """Imports pairs that were made elsewhere, with their noise.

    Args:
        teacher: the teacher that is known to have made them, or its directory.
        source: a folder of the original project's arrays, or of TFDS.
        directory: where to write.
        config: encoding and shard size; the source has the numbers.
        sampler: what the manifest will say about how they were made.
        run: what the manifest will say about the compute type.

    Raises:
        InputError: if the source cannot be read, or the images are not of the teacher's
            size.
    """
    source_pairs = importer.open_pairs(source)
    config = dataclasses.replace(
        config,
        pairs=source_pairs.count(manifests.TRAIN),
        held_out_pairs=source_pairs.count(manifests.HELD_OUT),
        store_noise=True,
    )
    teacher = as_teacher(teacher)
    if source_pairs.image_shape != teacher.image_shape:
        raise InputError(
            f"{source} must hold images of the teacher's shape. Expected: "
            f"{teacher.image_shape}, received: {source_pairs.image_shape}."
        )
    manifest = plan_pairs(teacher, config, sampler, run)
    manifest = dataclasses.replace(manifest, imported=True)
    importer.import_pairs(directory, manifest, source_pairs)
    return PairSet(directory)


def check_pairs(
    teacher: Teacher | str,
    directory: str,
    *,
    images: int = 32,
    run: RunConfig = RunConfig(),
) -> checker.Findings:
    """Finds missing and damaged shards; the teacher re-generates some images.

    Raises:
        InputError: if there is no pair set, or another teacher made it.
    """
    manifest = manifests.read(directory)
    run = dataclasses.replace(
        run, dtype=manifest.dtype, device_batch=manifest.device_batch
    )
    teacher = as_teacher(teacher)
    manifests.check_teacher(directory, manifest, teacher.fingerprint)
    generator = teacher.generator(devices.open_devices(run), manifest.sampler, run)
    return checker.check(directory, generator, images=images)


def _with_beam(
    teacher, directory, config, sampler, engine, remake, run
) -> manifests.Manifest:
    try:
        from tf_student.pairs import beam
    except ImportError as error:
        raise InputError(
            "`engine` must be local where Apache Beam is not installed: "
            "pip install 'tf-student[beam]'. Received: engine=beam."
        ) from error
    if not isinstance(teacher, str):
        raise InputError(
            "`teacher` must be a directory with engine=beam, for each of its "
            f"processes loads it. Received: {type(teacher).__name__}."
        )
    devices.open_devices(run)
    manifest = plan_pairs(as_teacher(teacher), config, sampler, run)
    shard_index.forget(directory, manifest, remake)
    options = [option for option in engine.beam_options.split(",") if option]
    opener = functools.partial(_open_sampler, teacher, sampler, run)
    return beam.write_pairs(directory, manifest, opener, options)


def _open_sampler(
    directory: str, sampler: SamplerConfig, run: RunConfig
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """Loads a teacher in a worker of Beam, which cannot unpickle a network."""
    strategy = devices.open_devices(run)
    generator = as_teacher(directory).generator(strategy, sampler, run)
    return generator, generator.batch
