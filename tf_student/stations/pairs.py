"""Station 2: the teacher's images for seeded noise."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from tf_student.config import RunConfig, SamplerConfig
from tf_student.errors import InputError
from tf_student.pairs import checker, importer, ledger, records, writer
from tf_student.pairs.config import EngineConfig
from tf_student.presets import Preset
from tf_student.stations import session


def make_pairs(
    directory: str,
    teacher_directory: str,
    system: Preset,
    run: RunConfig,
    engine: EngineConfig = EngineConfig(),
    *,
    again: Sequence[str] = (),
    progress: bool = False,
) -> records.Manifest:
    """Writes the teacher's images for seeded noise, or one worker's part of them.

    Args:
        directory: of the pairs.
        teacher_directory: of the teacher.
        system: its sampler and its pairs.
        run: how to use the machine.
        engine: who makes them, and which part.
        again: shards that are made again though they are there.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The manifest, complete if no other worker's shards are missing.

    Raises:
        InputError: if the directory holds other pairs, or the disk is too small.
    """
    if engine.engine == "beam":
        return _with_beam(directory, teacher_directory, system, run, engine, again)
    sample, batch, manifest = _open(teacher_directory, system, run)
    ledger.forget(directory, manifest, again)
    return writer.write_pairs(
        directory,
        manifest,
        sample,
        batch=batch,
        worker_index=engine.worker_index,
        num_workers=engine.num_workers,
        progress=progress,
    )


def import_pairs(
    directory: str,
    teacher_directory: str,
    source: str,
    system: Preset,
    run: RunConfig,
) -> records.Manifest:
    """Takes over pairs that were made elsewhere, with their noise.

    Args:
        directory: where to write.
        teacher_directory: of the teacher that is known to have made them.
        source: a folder of the original project's arrays, or of TFDS.
        system: its sampler is what the manifest says of them.
        run: as for `make_pairs`.

    Raises:
        InputError: if the source cannot be read, or the images are not the teacher's
            size.
    """
    found = importer.open_pairs(source)
    counts = {
        "pairs": found.count(records.TRAIN),
        "held_out_pairs": found.count(records.HELD_OUT),
        "store_noise": True,
    }
    config = dataclasses.replace(system.pairs, **counts)
    system = dataclasses.replace(system, pairs=config)
    generator, _, manifest = _open(teacher_directory, system, run)
    if found.image_shape != generator.shape:
        raise InputError(
            f"{source} must hold images of the teacher's shape. "
            f"Expected: {generator.shape}, received: {found.image_shape}."
        )
    manifest = dataclasses.replace(manifest, imported=True)
    return importer.import_pairs(directory, manifest, found)


def check_pairs(
    directory: str, teacher_directory: str, run: RunConfig, *, images: int
) -> checker.Findings:
    """Looks for missing and damaged shards; the teacher makes some images again.

    Raises:
        InputError: if there is no pair set, or another teacher made it.
    """
    manifest = records.read_manifest(directory)
    run = dataclasses.replace(
        run, dtype=manifest.dtype, device_batch=manifest.device_batch
    )
    strategy = session.open_devices(run)
    generator, teacher = session.teacher_generator(
        strategy, teacher_directory, manifest.sampler, run
    )
    session.check_maker(directory, manifest, teacher_directory, teacher)
    return checker.check(directory, generator, images=images)


def _open(teacher_directory: str, system: Preset, run: RunConfig):
    strategy = session.open_devices(run)
    generator, teacher = session.teacher_generator(
        strategy, teacher_directory, system.sampler, run
    )
    manifest = session.plan_pairs(teacher_directory, teacher, system, run)
    return generator, generator.batch, manifest


def _with_beam(
    directory, teacher_directory, system, run, engine, again
) -> records.Manifest:
    try:
        from tf_student.pairs import beam
    except ImportError as error:
        raise InputError(
            "`engine` must be local where Apache Beam is not installed: "
            "pip install 'tf-student[beam]'. Received: engine=beam."
        ) from error
    _, _, manifest = _open(teacher_directory, system, run)
    ledger.forget(directory, manifest, again)
    options = [option for option in engine.beam_options.split(",") if option]
    opener = functools.partial(_open_sampler, teacher_directory, system.sampler, run)
    return beam.write_pairs(directory, manifest, opener, options)


def _open_sampler(
    teacher_directory: str, sampler: SamplerConfig, run: RunConfig
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """In a worker of Beam, which has this module but not the launcher's objects."""
    generator, _ = session.teacher_generator(
        session.open_devices(run), teacher_directory, sampler, run
    )
    return generator, generator.batch
