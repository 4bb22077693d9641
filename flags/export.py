"""Writes a network as a version of a model that stock TF Serving runs.

    tf-student export --preset=digits
    tf-student export --preset=digits --verify
    tf-student export --preset=digits --what=teacher

The version appears whole in <export_dir>/<version>, beside models.config and
batching.config. A teacher goes to <work_dir>/export_teacher.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.config import SamplerConfig
from tf_student.serving.config import ExportConfig

config_flags.define_common("teacher", "student", "export")
config_flags.define(ExportConfig, SamplerConfig)


def main() -> None:
    """Exports, or says what the export would take."""
    system, config = config_flags.preset(), config_flags.resolve(ExportConfig())
    sampler = config_flags.resolve(system.sampler)
    base = config_flags.directory("export")
    if config.what == "teacher" and not flags.FLAGS.export_dir:
        base += "_teacher"
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        one = config.what == "student"
        cost = costs.serving(
            system.unet, system.diffusion, sampler, config.dtype, student=one
        )
        launch.print_cost(f"export the {config.what} to {base}", cost)
        return
    station = launch.import_quietly("tf_student.stations.export")
    network = config_flags.directory(config.what)
    exported = station.export(base, network, flags.FLAGS.preset, config, sampler)
    if config.warmup != "none" and not exported.warm:
        print(
            "It has no warm-up requests, for tensorflow-serving-api is not installed: "
            "pip install 'tf-student[serving]'."
        )
    if exported.verification:
        print(exported.verification.text())
    print(f"The SavedModel is in {exported.directory}.")


if __name__ == "__main__":
    launch.run(main)
