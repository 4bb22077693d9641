"""An environment with everything that is installed here, and without this package."""

import contextlib
import os
import pathlib
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator

_PROGRAM = pathlib.Path(__file__).with_name("isolated_process.py")


@contextlib.contextmanager
def without_this_package() -> Iterator[str]:
    """A folder of links to the installed packages, made for a while.

    Files that change the path of a Python that starts (`.pth`) are left out, and with
    them editable installations.
    """
    with tempfile.TemporaryDirectory() as folder:
        for place in _places():
            for name in os.listdir(place):
                link = os.path.join(folder, name)
                if _belongs_here(name) or name.endswith(".pth"):
                    continue
                if not os.path.lexists(link):
                    os.symlink(os.path.join(place, name), link)
        yield folder


def _places() -> list[str]:
    """Where packages are installed, in the order of the path."""
    known = {*site.getsitepackages(), site.getusersitepackages()}
    return [p for p in sys.path if os.path.isdir(p) and (p in known or _is_site(p))]


def _is_site(path: str) -> bool:
    return os.path.basename(path.rstrip("/")) in ("site-packages", "dist-packages")


def _belongs_here(name: str) -> bool:
    return "tf_student" in name.replace("-", "_")


def run_isolated(request: str) -> None:
    """Runs isolated_process.py, isolated from the caller's path, settings and folder.

    Raises:
        RuntimeError: if it fails; the message is the end of what it said.
    """
    # Without -S, Python would put this installation's packages back.
    command = [sys.executable, "-I", "-S", str(_PROGRAM), request]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-20:])
        raise RuntimeError(f"The SavedModel does not stand alone:\n{tail}")
