"""An isolated process that has the installed packages but not this one."""

import contextlib
import os
import pathlib
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator

_FOLDER = pathlib.Path(__file__).parent


@contextlib.contextmanager
def without_this_package() -> Iterator[str]:
    """Creates a temporary directory of links to all other installed packages.

    It leaves out the `.pth` files, which extend the path of a starting Python, and with
    them editable installations.

    Yields:
        The directory, for the path of a Python that was started with `-S`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for directory in _package_directories():
            for name in os.listdir(directory):
                link = os.path.join(folder, name)
                if _is_this_package(name) or name.endswith(".pth"):
                    continue
                if not os.path.lexists(link):
                    os.symlink(os.path.join(directory, name), link)
        yield folder


def _package_directories() -> list[str]:
    """The directories of installed packages, in the order of `sys.path`."""
    known = {*site.getsitepackages(), site.getusersitepackages()}
    return [p for p in sys.path if os.path.isdir(p) and (p in known or _is_site(p))]


def _is_site(path: str) -> bool:
    return os.path.basename(path.rstrip("/")) in ("site-packages", "dist-packages")


def _is_this_package(name: str) -> bool:
    return "tf_student" in name.replace("-", "_")


def run_isolated(request: str, program: str = "isolated_process.py") -> None:
    """Runs a program without the caller's path, settings and directory.

    Args:
        request: path of the JSON file that the program reads.
        program: name of its file in this package.

    Raises:
        RuntimeError: if the process fails; the message has the end of its output.
    """
    # Without -S, Python would add this installation's packages to the path.
    command = [sys.executable, "-I", "-S", str(_FOLDER / program), request]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    if finished.returncode:
        tail = "\n".join(finished.stderr.strip().splitlines()[-20:])
        raise RuntimeError(
            f"The model failed in a process without this package:\n{tail}"
        )
