"""The program `tf-student`: runs one command with the rest of the command line."""

import runpy
import sys

from tf_student.flags import endings, output

from tf_student.runtime.version import __version__

COMMANDS = {
    "teacher": "train a diffusion model on real images",
    "convert": "read published weights, or write our own for diffusers",
    "verify-teacher": "check a teacher: images, and its loss on real images",
    "pairs": "sample from the teacher and store (noise seed, image) pairs",
    "distill": "train a student that needs one network call",
    "match": "match its images to the distribution of the teacher's",
    "sample": "draw images",
    "interpolate": "draw interpolations between images",
    "evaluate": "measure teacher and student, or compare any two sets of images",
    "export": "write a SavedModel for TF Serving",
    "rollout": "move the labels of a served model to its newest version",
    "client": "request images from a model server and measure the latency",
    "gallery": "show teacher and student in the browser",
    "demo": "run all of the above on small real images, in minutes",
    "doctor": "check this machine and report what is missing",
}


def usage() -> str:
    """Returns the help text of the program."""
    rows = "\n".join(f"  {name:14} {text}" for name, text in COMMANDS.items())
    return (
        "Distills a diffusion model into a student that needs one network call.\n\n"
        "usage: tf-student COMMAND [--flag=value ...]\n"
        "       tf-student COMMAND --help | --helpfull\n"
        "       tf-student --version\n\n"
        f"commands:\n{rows}"
    )


def run() -> None:
    """Runs the program, as the console script does."""
    with output.flushed():
        _dispatch(sys.argv[1:])


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(__version__)
        sys.exit(0)
    if arguments[0] not in COMMANDS:
        print(
            f"tf-student: unknown command {arguments[0]!r}; expected one of "
            f"{', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = sys.argv[1:]
    module = f"tf_student.flags.{arguments[0].replace('-', '_')}"
    with endings.guarded():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
