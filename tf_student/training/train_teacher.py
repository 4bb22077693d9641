"""The command `teacher`: a teacher from real images."""

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig
from tf_student.training.best_weights import BestWeights
from tf_student.training.teacher_task import TeacherTask
from tf_student.training.train_network import TrainRun, train_network
from tf_student.training.training_config import LogConfig, TrainConfig


def train_teacher(
    directory: str,
    *,
    data: DataConfig = DataConfig(),
    unet: UNetConfig = UNetConfig(),
    diffusion: DiffusionConfig = DiffusionConfig(),
    train: TrainConfig = TrainConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    log: LogConfig = LogConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Teacher:
    """Trains a teacher on real images; its EMA weights are the result.

    An interrupted call continues from the last checkpoint.

    Args:
        directory: gets `model.keras`, checkpoints, metrics and image grids.
        data: the real images.
        unet: the architecture.
        diffusion: the forward process.
        train: batch size, steps and optimizer.
        sampler: draws the image grids.
        log: how often to report and to save.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The teacher.

    Raises:
        InputError: if the directory belongs to another run, or images cannot be read.
        DivergedError: if the loss is not finite.
        Preempted: on SIGTERM, after saving.

    Example:

    >>> teacher = train_teacher("runs/digits/teacher", **digits_options)
    """
    strategy = devices.open_devices(run, train.seed, workers=True)
    policy = devices.policy(run.dtype)
    image_set = datasets.load(data, unet.image_shape)
    task = TeacherTask(
        image_set, data, diffusion, sampler, unet.image_shape, train.seed
    )
    configs = {"unet": unet, "diffusion": diffusion, "sampler": sampler, "data": data}
    state = train_network(
        task,
        lambda: UNet(unet, recompute=run.recompute, dtype=policy),
        TrainRun(directory, "teacher", "teacher", configs, train, run, log, progress),
        strategy,
    )
    if devices.is_chief(strategy):
        BestWeights(directory).keep(state)
    return Teacher(state.ema, diffusion)
