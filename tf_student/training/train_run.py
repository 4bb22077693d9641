"""The options of one training run."""

import dataclasses

import tensorflow as tf

from tf_student.runtime import devices, paths
from tf_student.runtime.run_config import RunConfig
from tf_student.training.training_config import LogConfig, TrainConfig


@dataclasses.dataclass(frozen=True)
class TrainRun:
    """Where and how a network is trained, whatever it learns.

    Attributes:
        directory: gets checkpoints, metrics and image grids.
        strategy: the replicas.
        train: batch size, steps and optimizer.
        log: how often to report and to save.
        run: how to use the devices.
        progress: whether to draw a progress bar on stderr.

    Raises:
        InputError: if TensorFlow could not restore checkpoints from the directory.
    """

    directory: str
    strategy: tf.distribute.Strategy
    train: TrainConfig
    log: LogConfig = LogConfig()
    run: RunConfig = RunConfig()
    progress: bool = False

    def __post_init__(self):
        paths.check_restorable(self.directory)

    @property
    def is_chief(self) -> bool:
        """Whether this process evaluates and writes files; one worker does."""
        return devices.is_chief(self.strategy)
