"""The `tf-student` command: hands the rest of the line to one station."""

import runpy
import sys

from tf_student.flags import output

from tf_student import __version__

STATIONS = {
    "teacher": "train a diffusion model on real images",
    "convert": "take published weights instead, or hand ours on to diffusers",
    "verify-teacher": "look at a teacher: images, and its loss on real ones",
    "pairs": "let it sample, and store (noise seed, image)",
    "distill": "train a student that needs one network call",
    "sample": "draw images",
    "interpolate": "draw walks from one image to another",
    "evaluate": "measure teacher and student, or any two sets of images",
    "export": "write a SavedModel for TF Serving",
    "client": "ask a model server for images, and measure it",
    "gallery": "show teacher and student in the browser",
    "demo": "all of the above on small real images, in minutes",
    "doctor": "look at this machine and say what is missing",
}


def usage() -> str:
    """The list of stations."""
    rows = "\n".join(f"  {name:14} {text}" for name, text in STATIONS.items())
    return (
        "Distills a diffusion model into a one-step generator.\n\n"
        "usage: tf-student STATION [--flag=value ..]\n"
        "       tf-student STATION --help\n\n"
        f"stations:\n{rows}"
    )


def run() -> None:
    """Entry point of the console script."""
    with output.flushed():
        _hand_over(sys.argv[1:])


def _hand_over(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(__version__)
        sys.exit(0)
    if arguments[0] not in STATIONS:
        print(
            f"tf-student: there is no station {arguments[0]!r}; expected one of "
            f"{', '.join(STATIONS)}",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = sys.argv[1:]
    module = f"tf_student.flags.{arguments[0].replace('-', '_')}"
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
