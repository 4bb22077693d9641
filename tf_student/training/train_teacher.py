"""The command `teacher`: trains a teacher on real images."""

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.teacher import Teacher, check_guidance
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig
from tf_student.training.best_weights import BestWeights
from tf_student.training.teacher_task import TeacherTask
from tf_student.training.train_network import train_network
from tf_student.training.train_run import TrainRun
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
    """Trains a teacher on real images; the result has the EMA weights.

    The same call resumes an interrupted run from its last checkpoint.

    Args:
        directory: gets `model.keras`, checkpoints, metrics and image grids.
        data: the real images, which need labels if the network has classes.
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

    >>> teacher = train_teacher("runs/digits/new_teacher", unet=teacher.unet.config,
    ...                         train=TrainConfig(steps=2, batch_size=4))
    """
    check_guidance(unet, sampler)
    strategy = devices.open_devices(run, train.seed, workers=True)
    setup = TrainRun(directory, strategy, train, log, run, progress)
    return _train(data, unet, diffusion, sampler, setup)


def _train(
    data: DataConfig,
    unet: UNetConfig,
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    setup: TrainRun,
) -> Teacher:
    policy, seed = devices.policy(setup.run.dtype), setup.train.seed
    image_set = datasets.load(data, unet.image_shape)
    if unet.classes:
        image_set.checked_label(unet.classes)
    state = train_network(
        TeacherTask(image_set, data, diffusion, sampler, unet, seed),
        lambda: UNet(unet, recompute=setup.run.recompute, dtype=policy),
        setup,
        command="teacher",
        configs={
            "unet": unet,
            "diffusion": diffusion,
            "sampler": sampler,
            "data": data,
        },
    )
    if setup.is_chief:
        BestWeights(setup.directory).keep(state)
    return Teacher(state.ema, diffusion)
