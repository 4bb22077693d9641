"""Station 2: the teacher's images for seeded noise."""

from tf_student import model_directory, run_directory
from tf_student.config import DiffusionConfig, RunConfig
from tf_student.pairs import records
from tf_student.pairs.writer import write_pairs
from tf_student.presets import Preset
from tf_student.stations import session


def make_pairs(
    directory: str,
    teacher_directory: str,
    system: Preset,
    run: RunConfig,
    *,
    progress: bool = False,
) -> records.Manifest:
    """Writes the teacher's images for seeded noise; returns the manifest.

    Raises:
        InputError: if the directory holds other pairs, or the disk is too small.
    """
    strategy = session.open_devices(run)
    generator, teacher = session.teacher_generator(
        strategy, teacher_directory, system.sampler, run
    )
    manifest = records.plan(
        model_directory.fingerprint(teacher),
        generator.shape,
        run_directory.read_config(teacher_directory, "diffusion", DiffusionConfig),
        system.sampler,
        system.pairs,
        run,
    )
    return write_pairs(
        directory, manifest, generator, batch=generator.batch, progress=progress
    )
