"""Exports a network as a version of a model, for unmodified TF Serving or for others.

    tf-student export --preset=digits
    tf-student export --preset=digits --verify
    tf-student export --preset=digits --network=teacher
    tf-student export --preset=digits --network=matched
    tf-student export --preset=digits --format=saved_model,litert,onnx
    tf-student export --preset=digits --format=litert --dtype=int8
    tf-student export --preset=digits --format=web

Writes the version atomically to <export_dir>/<version>, beside models.config and
batching.config; and the files of other formats, which a server ignores, to
<export_dir>/litert/<version>/<name>.tflite and <export_dir>/onnx/<version>/<name>.onnx.
The folder <export_dir>/web/<version> is a page for any web server.
The default directory of a teacher is <work_dir>/export_teacher, and that of a matched
student <work_dir>/export_matched.
"""

from typing import Any

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.serving.export_config import ExportConfig

config_flags.define_common("teacher", "student", "matched", "export")
config_flags.define_network("student", "teacher", "matched")
config_flags.define(ExportConfig, SamplerConfig)


def _directory() -> str:
    directory = config_flags.directory("export")
    network = flags.FLAGS.network
    if network != "student" and not flags.FLAGS.export_dir:
        directory += f"_{network}"
    return directory


def _network() -> str:
    """Returns the directory of the network, which must be of its kind."""
    weights = launch.import_quietly("tf_student.models.weights_file")
    directory = config_flags.directory(flags.FLAGS.network)
    kind = "teacher" if flags.FLAGS.network == "teacher" else "student"
    return weights.open_run(directory, kind).path


def main() -> None:
    """Exports."""
    config = config_flags.resolve(ExportConfig())
    sampler = config_flags.preset("sampler").sampler
    serving = launch.import_quietly("tf_student.serving.export")
    exported = serving.export(
        _network(),
        _directory(),
        config=config,
        sampler=sampler,
        preset=flags.FLAGS.preset,
    )
    for form, path in exported.files.items():
        if form in exported.verifications:
            print(exported.verifications[form].text())
        if form == "web":
            print(f"The page is in {path}.")
        else:
            print(f"The {form} file is {path}.")
    if "saved_model" in config.format:
        _print_saved_model(exported, config)


def _print_saved_model(exported: Any, config: ExportConfig) -> None:
    if config.warmup != "none" and not exported.warm:
        print(
            "The model has no warm-up requests, because tensorflow-serving-api is not "
            "installed: pip install 'tf-student[serving]'."
        )
    if exported.verification:
        print(exported.verification.text())
    print(f"The SavedModel is in {exported.directory}.")
    if exported.pending:
        print("After a server has loaded it, `tf-student rollout` moves the labels.")


def plan() -> launch.Plan:
    """Returns what the model would cost."""
    preset = config_flags.preset("sampler")
    config = config_flags.resolve(ExportConfig())
    network = flags.FLAGS.network
    cost = launch.costs().serving(
        preset.unet,
        preset.diffusion,
        preset.sampler,
        config.dtype,
        student=network != "teacher",
    )
    return f"export the {network} to {_directory()}", cost


if __name__ == "__main__":
    launch.run(main, plan)
