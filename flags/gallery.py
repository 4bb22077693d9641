"""Shows teacher and students side by side on a page in the browser.

    tf-student gallery --preset=digits

The page runs exported models: run `tf-student export` first and, to compare with other
networks, `tf-student export --network=teacher` and `--network=matched`.
"""

import os
import signal

from tf_student.flags import config_flags, launch

from tf_student.gallery.gallery_config import GalleryConfig

config_flags.define_common()
config_flags.define(GalleryConfig)


def _models() -> tuple[GalleryConfig, dict[str, str]]:
    """Returns the config, and the directories of the exported models by name."""
    config = config_flags.resolve(GalleryConfig())
    return config, {
        "student": config.student_model or config_flags.directory("export"),
        "matched": config.matched_model or config_flags.directory("export_matched"),
        "teacher": config.teacher_model or config_flags.directory("export_teacher"),
    }


def main() -> None:
    """Serves the page until Ctrl-C or SIGTERM."""
    config, models = _models()
    gallery = launch.import_quietly("tf_student.gallery.server")
    named = {"matched": config.matched_model, "teacher": config.teacher_model}
    required = [name for name, model in named.items() if model]
    # The server has nothing to save, and a request in TensorFlow could delay the exit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os._exit(0))
    gallery.serve(
        lambda: gallery.open_models(**models, required=required),
        config,
        _print_address,
    )


def plan() -> launch.Plan:
    """Returns the address of the page."""
    config, models = _models()
    address = {"address": f"http://{config.host}:{config.port}/"}
    others = f"{models['matched']} and {models['teacher']}"
    return f"show {models['student']} and, if they exist, {others}", address


def _print_address(address: str) -> None:
    # Flushed for programs that wait for this line.
    print(f"The gallery is at {address} (Ctrl-C stops it).", flush=True)


if __name__ == "__main__":
    launch.run(main, plan)
