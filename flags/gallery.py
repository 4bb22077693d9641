"""Shows teacher and student side by side on a page in the browser.

    tf-student gallery --preset=digits

The page runs exported models: run `tf-student export` first and, to compare with the
teacher, `tf-student export --network=teacher`.
"""

import os
import signal

from tf_student.flags import config_flags, launch

from tf_student.gallery.gallery_config import GalleryConfig

config_flags.define_common()
config_flags.define(GalleryConfig)


def _models() -> tuple[GalleryConfig, str, str]:
    """Returns the config and the directories of the exported student and teacher."""
    config = config_flags.resolve(GalleryConfig())
    student = config.student_model or config_flags.directory("export")
    teacher = config.teacher_model or config_flags.directory("export_teacher")
    return config, student, teacher


def main() -> None:
    """Serves the page until Ctrl-C."""
    config, student, teacher = _models()
    gallery = launch.import_quietly("tf_student.gallery.server")
    required = bool(config.teacher_model)
    # The server has nothing to save, and a request in TensorFlow could delay the exit.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    gallery.serve(
        lambda: gallery.open_models(teacher, student, teacher_required=required),
        config,
        _print_address,
    )


def plan() -> launch.Plan:
    """Returns the address of the page."""
    config, student, teacher = _models()
    address = {"address": f"http://{config.host}:{config.port}/"}
    return f"show {student} and, if it exists, {teacher}", address


def _print_address(address: str) -> None:
    # Flushed for programs that wait for this line.
    print(f"The gallery is at {address} (Ctrl-C stops it).", flush=True)


if __name__ == "__main__":
    launch.run(main, plan)
