"""Draws images of one or several networks from the same noise.

    tf-student sample --preset=digits --network=both --count=64
    tf-student sample --preset=digits --network=matched
    tf-student sample --preset=digits_classes --network=matched --labels=0,1,2

Writes the grid samples.png and a folder of PNG files to the work directory.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.draw_config import SampleConfig
from tf_student.runtime.run_config import RunConfig

config_flags.define_common("teacher", "student", "matched")
config_flags.define_network("student", "teacher", "matched", "both", "all")
config_flags.define(
    SampleConfig, SamplerConfig, RunConfig, without=config_flags.TRAINING_ONLY
)

_NETWORKS = ("teacher", "student", "matched")


def _directory_of(network: str) -> str | None:
    """Returns the directory of a network if --network selects it."""
    together = {"both": ("teacher", "student"), "all": _NETWORKS}
    choice = flags.FLAGS.network
    selected = network in together.get(choice, (choice,))
    return config_flags.directory(network) if selected else None


def main() -> None:
    """Draws."""
    directory = config_flags.work_dir()
    models = launch.import_quietly("tf_student.models.draw")
    path = models.draw_samples(
        _directory_of("teacher"),
        _directory_of("student"),
        directory,
        matched=_directory_of("matched"),
        config=config_flags.resolve(SampleConfig()),
        sampler=config_flags.preset("sampler").sampler,
        run=config_flags.resolve(RunConfig()),
    )
    print(f"The images are in {path} and {directory}/samples.")


def plan() -> launch.Plan:
    """Returns what drawing would cost."""
    preset = config_flags.preset("sampler")
    config = config_flags.resolve(SampleConfig())
    cost = launch.costs().sampling(
        preset.unet,
        preset.diffusion,
        preset.sampler,
        config.images,
        student=flags.FLAGS.network in ("student", "matched"),
    )
    return f"draw images into {config_flags.work_dir()}", cost


if __name__ == "__main__":
    launch.run(main, plan)
