"""Station 1: a teacher from real images."""

from tf_student import datasets, model_directory
from tf_student.config import RunConfig
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.stations.training import train_network
from tf_student.training import distribute
from tf_student.training.teacher import TeacherTask
from tf_student.unet import UNet


def train_teacher(
    directory: str, system: Preset, run: RunConfig, *, progress: bool = False
) -> None:
    """Trains a teacher on real images and leaves `model.keras`, its averaged weights.

    Raises:
        InputError: if the directory belongs to another run, or images cannot be read.
    """
    strategy = session.open_devices(run, system.teacher.seed, workers=True)
    shape = system.unet.image_shape
    image_set = datasets.load(system.data, shape)
    policy = distribute.policy(run.dtype)
    task = TeacherTask(
        image_set,
        system.data,
        system.diffusion,
        system.sampler,
        shape,
        system.teacher.seed,
    )
    state = train_network(
        task,
        lambda: UNet(system.unet, recompute=run.recompute, dtype=policy),
        directory,
        station="teacher",
        configs={
            "unet": system.unet,
            "diffusion": system.diffusion,
            "sampler": system.sampler,
            "data": system.data,
        },
        strategy=strategy,
        config=system.teacher,
        run=run,
        log=system.log,
        progress=progress,
    )
    if distribute.is_chief(strategy):
        model_directory.save(directory, state.ema)
