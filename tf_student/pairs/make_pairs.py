"""The command `pairs`: the teacher's images for seeded noise."""

import dataclasses
from collections.abc import Sequence

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.teacher import Teacher, as_teacher, require_unconditional
from tf_student.pairs import (
    checker,
    generation,
    import_sources,
    importer,
    manifests,
)
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
    config: PairsConfig | None = None,
    sampler: SamplerConfig = SamplerConfig(),
    engine: EngineConfig = EngineConfig(),
    remake: Sequence[str] = (),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> PairSet | None:
    """Writes the teacher's images for seeded noise, or one worker's part of them.

    An interrupted call continues where it stopped, because finished shards are kept.

    Args:
        teacher: a teacher or its directory; Apache Beam needs a directory.
        directory: directory of the pairs; created if it is missing.
        count: number of training pairs, in place of `config.pairs`.
        config: number, seed and encoding of the pairs; without it, a twentieth as many
            pairs are held out as `count` says.
        sampler: solver and steps of the teacher's sampler.
        engine: which processes generate the pairs, and this worker's index.
        remake: names of existing shards to re-generate; a worker takes its own.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The pair set; None while shards of other workers are missing.

    Raises:
        InputError: if the directory holds another pair set, or the disk is too small.
        Preempted: on SIGTERM. Finished shards stay.

    Example:

    >>> sampler = SamplerConfig(calls=2)
    >>> pairs = make_pairs(teacher, "runs/a", count=64, sampler=sampler)
    """
    config = _with_count(config, count)
    beam = engine.engine == "beam"
    write = generation.with_beam if beam else generation.in_this_process
    manifest = write(teacher, directory, config, sampler, engine, remake, run, progress)
    return PairSet(directory) if manifest.complete else None


def _with_count(config: PairsConfig | None, count: int | None) -> PairsConfig:
    if count is None:
        return config or PairsConfig()
    if config is None:
        held_out = min(max(count // 20, 1), PairsConfig.held_out_pairs)
        config = PairsConfig(held_out_pairs=held_out)
    return dataclasses.replace(config, pairs=count)


def online_pairs(
    teacher: Teacher | str,
    *,
    config: PairsConfig = PairsConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> OnlinePairs:
    """Opens pairs that the teacher generates on demand; none are stored.

    They are the pairs that `make_pairs` stores for the same arguments, in the same
    order, so a student trained on either is the same. Close them at the end.

    Args:
        teacher: a teacher or its directory.
        config: number and seed of the pairs.
        sampler: solver and steps of the teacher's sampler.
        run: how to use the devices.

    Raises:
        InputError: if `TF_CONFIG` names several workers, which need stored pairs.

    Example:

    >>> config = PairsConfig(pairs=64, held_out_pairs=16)
    >>> online = online_pairs(teacher, config=config, sampler=SamplerConfig(calls=2))
    >>> z, image = next(iter(online.train(seed=0, start=0)))
    >>> online.close()
    """
    workers = devices.workers_in_environment()
    if workers > 1:
        raise InputError(
            "`online` must be off if TF_CONFIG names several workers, because they "
            f"share stored pairs. Received: online=True, workers={workers}."
        )
    teacher = as_teacher(teacher)
    generator = teacher.generator(devices.open_devices(run), sampler, run)
    manifest = generation.plan_pairs(teacher, config, sampler, run)
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
    """Imports pairs that another program generated, with their noise.

    Args:
        teacher: the teacher that generated them, or its directory.
        source: a folder with the original project's arrays (`x_train_*.npy`,
            `y_train_*.npy`, `x_test.npy`, `y_test.npy`), or a TFDS folder.
        directory: directory of the new pair set.
        config: encoding and shard size; the source determines the counts.
        sampler: the sampler that the manifest will name; it is not checked.
        run: the compute type that the manifest will name.

    Raises:
        InputError: if the source cannot be read, or its images do not have the
            teacher's shape.

    Example:

    >>> os.makedirs("arrays")
    >>> for part in ("train_0", "test"):
    ...     np.save(f"arrays/x_{part}.npy", np.zeros([8, 8, 8, 1], np.float16))
    ...     np.save(f"arrays/y_{part}.npy", np.zeros([8, 8, 8, 1], np.uint8))
    >>> pairs = import_pairs(teacher, "arrays", "runs/b")
    """
    opened, teacher = import_sources.open_source(source), as_teacher(teacher)
    require_unconditional(teacher.unet.config, "teacher")
    _check_shape(source, opened.image_shape, teacher)
    config = dataclasses.replace(
        config,
        pairs=opened.count(manifests.TRAIN),
        held_out_pairs=opened.count(manifests.HELD_OUT),
        store_noise=True,
    )
    manifest = generation.plan_pairs(teacher, config, sampler, run)
    manifest = dataclasses.replace(manifest, imported=True)
    importer.write_imported(directory, manifest, opened)
    return PairSet(directory)


def _check_shape(source: str, shape: tuple[int, ...], teacher: Teacher) -> None:
    if shape != teacher.image_shape:
        raise InputError(
            f"{source} must hold images of the teacher's shape. Expected: "
            f"{teacher.image_shape}, received: {shape}."
        )


def check_pairs(
    teacher: Teacher | str,
    directory: str,
    *,
    images: int = 32,
    run: RunConfig = RunConfig(),
) -> checker.Findings:
    """Looks for missing and damaged shards, and compares images with the teacher's.

    Args:
        teacher: the teacher that generated the pairs, or its directory.
        directory: directory of the pairs; it is not changed.
        images: number of images that the teacher re-generates to compare.
        run: how to use the devices; the manifest determines compute type and batch.

    Returns:
        `missing` and `damaged` shards, and the differences of the images.

    Raises:
        InputError: if the directory holds no pair set, or another teacher made it.

    Example:

    >>> findings = check_pairs(teacher, "runs/digits/pairs", images=4)
    >>> findings.missing, findings.damaged
    ((), ())
    """
    manifest = manifests.read(directory)
    run = dataclasses.replace(
        run, dtype=manifest.dtype, device_batch=manifest.device_batch
    )
    teacher = as_teacher(teacher)
    manifests.check_teacher(directory, manifest, teacher.fingerprint, teacher.diffusion)
    generator = teacher.generator(devices.open_devices(run), manifest.sampler, run)
    return checker.check(directory, generator, images=images)
