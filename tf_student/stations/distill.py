"""Station 3: a student from pairs."""

from collections.abc import Callable

from tf_student import model_directory
from tf_student.config import RunConfig
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.stations.training import train_network
from tf_student.student import Student
from tf_student.training import distribute
from tf_student.training.distill import DistillTask
from tf_student.unet import UNet


def distill(
    directory: str,
    teacher_directory: str,
    pairs_directory: str,
    system: Preset,
    run: RunConfig,
    *,
    progress: bool = False,
) -> None:
    """Trains a student from the teacher's weights; `model.keras` is the best average.

    Raises:
        InputError: if the pairs were made by another teacher or are damaged, or the
            directory belongs to another run.
    """
    strategy = session.open_devices(run, system.student.seed, workers=True)
    pair_set = PairSet(pairs_directory)
    teacher = model_directory.load_teacher(teacher_directory)
    manifest = pair_set.manifest
    session.check_maker(pairs_directory, manifest, teacher_directory, teacher)
    task = DistillTask(
        pair_set, system.distill, directory, system.student.seed, run.device_batch
    )
    train_network(
        task,
        _maker(teacher, manifest.diffusion.timesteps, run),
        directory,
        station="distill",
        configs={
            "unet": teacher.config,
            "diffusion": manifest.diffusion,
            "distill": system.distill,
            "origin": records.Origin(manifest.teacher, records.fingerprint(manifest)),
        },
        strategy=strategy,
        config=system.student,
        run=run,
        log=system.log,
        progress=progress,
    )


def _maker(teacher: UNet, timesteps: int, run: RunConfig) -> Callable[[], Student]:
    """Makes students that begin with the teacher's weights."""
    weights, policy = teacher.get_weights(), distribute.policy(run.dtype)

    def make() -> Student:
        unet = UNet(teacher.config, recompute=run.recompute, dtype=policy)
        unet.set_weights(weights)
        return Student(unet, timesteps, dtype=policy)

    return make
