"""The `tf-student` command: hands the rest of the line to one command."""

import runpy
import sys

from tf_student.flags import output

from tf_student.runtime.version import __version__

COMMANDS = {
    "teacher": "train a diffusion model on real images",
    "convert": "read published weights instead, or write ours for diffusers",
    "verify-teacher": "inspect a teacher: images, and its loss on real ones",
    "pairs": "sample from the teacher and store (noise seed, image)",
    "distill": "train a student that needs one network call",
    "sample": "draw images",
    "interpolate": "draw walks from one image to another",
    "evaluate": "measure teacher and student, or any two sets of images",
    "export": "write a SavedModel for TF Serving",
    "client": "request images from a model server, and measure it",
    "gallery": "show teacher and student in the browser",
    "demo": "all of the above on small real images, in minutes",
    "doctor": "check this machine and say what is missing",
}


def usage() -> str:
    """The list of commands."""
    rows = "\n".join(f"  {name:14} {text}" for name, text in COMMANDS.items())
    return (
        "Distills a diffusion model into a one-step generator.\n\n"
        "usage: tf-student COMMAND [--flag=value ...]\n"
        "       tf-student COMMAND --help\n\n"
        f"commands:\n{rows}"
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
    if arguments[0] not in COMMANDS:
        print(
            f"tf-student: there is no command {arguments[0]!r}; expected one of "
            f"{', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = sys.argv[1:]
    module = f"tf_student.flags.{arguments[0].replace('-', '_')}"
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
