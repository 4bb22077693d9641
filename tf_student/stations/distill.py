"""Station 3: a student from pairs."""

from tf_student import model_directory, run_directory
from tf_student.config import RunConfig
from tf_student.errors import InputError
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.student import Student
from tf_student.training import distribute
from tf_student.training.distill import DistillTask
from tf_student.training.loop import train
from tf_student.training.state import TrainState
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
    fingerprint = model_directory.fingerprint(teacher)
    if fingerprint != pair_set.manifest.teacher:
        raise InputError(
            f"{pairs_directory} was made by another teacher than {teacher_directory}. "
            f"Expected: {pair_set.manifest.teacher[:16]}, received: {fingerprint[:16]}."
        )
    diffusion = pair_set.manifest.diffusion
    if distribute.is_chief(strategy):
        run_directory.claim(
            directory,
            "distill",
            {
                "unet": teacher.config,
                "diffusion": diffusion,
                "distill": system.distill,
                "train": system.student,
                "run": run,
                "log": system.log,
                "origin": records.Origin(
                    fingerprint, records.fingerprint(pair_set.manifest)
                ),
            },
        )
    weights, policy = teacher.get_weights(), distribute.policy(run.dtype)

    def make_student():
        unet = UNet(teacher.config, recompute=run.recompute, dtype=policy)
        unet.set_weights(weights)
        return Student(unet, diffusion.timesteps, dtype=policy)

    state = TrainState(strategy, make_student, system.student)
    task = DistillTask(
        pair_set, system.distill, directory, system.student.seed, run.device_batch
    )
    train(
        task,
        state,
        directory,
        strategy=strategy,
        config=system.student,
        run=run,
        log=system.log,
        progress=progress,
    )
