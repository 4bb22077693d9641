"""Shows teacher and student side by side, on a page in the browser.

tf-student gallery --preset=digits
"""

import os
import signal

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.gallery.config import GalleryConfig

config_flags.define_common()
config_flags.define(GalleryConfig)


def main() -> None:
    """Serves the page until Ctrl-C, or says where it would be."""
    config = config_flags.resolve(GalleryConfig())
    student = config.student_model or config_flags.directory("export")
    teacher = config.teacher_model or config_flags.directory("export_teacher")
    if flags.FLAGS.dry_run:
        print(f"Would show {student} and, if it is there, {teacher}:")
        print(f"  address: http://{config.host}:{config.port}/")
        return
    station = launch.import_quietly("tf_student.stations.gallery")
    required = bool(config.teacher_model)
    # There is nothing to save, and a request within TensorFlow may hold the end up.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    station.serve(
        lambda: station.open_models(student, teacher, teacher_required=required),
        config,
        _say,
    )


def _say(address: str) -> None:
    # Flushed, for a program that waits for it.
    print(f"The gallery is at {address} (Ctrl-C ends it).", flush=True)


if __name__ == "__main__":
    launch.run(main)
