"""The image of `deploy/Dockerfile`, in containers of Docker or Podman."""

import contextlib
import os
import shutil
import subprocess
import sys
import uuid

import pytest

from tests.engines.pairs_command import TIMEOUT
from tf_student.runtime.version import __version__

IMAGE = f"tf-student:{__version__}"
_NETWORK = "10.89.213"
# An engine as root without the capability SYS_RESOURCE cannot raise limits.
_LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=30000:30000")
_ENGINES = (
    ("docker",),
    ("podman",),
    ("podman", "--runtime=runc"),
)


# Prints a digest of the installed package. An image that was made before a change draws
# other bits.
_DIGEST = """
import hashlib, importlib.util, pathlib
root = pathlib.Path(importlib.util.find_spec("tf_student").origin).parent
digest = hashlib.sha256()
for path in sorted(root.rglob("*.py")):
    if path.relative_to(root).parts[0] not in ("custom_ops", "flags"):
        digest.update(path.read_bytes())
print(digest.hexdigest())
"""


def _check_sources(engine):
    """Fails if the image does not hold the sources of this tree."""
    inside = [*engine, "run", "--rm", "--pull=never", *_LIMITS, "--entrypoint=python3"]
    actual, expected = (
        subprocess.run(
            [*command, "-c", _DIGEST],
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        ).stdout
        for command in ([*inside, IMAGE], [sys.executable])
    )
    if actual != expected:
        pytest.fail(f"{IMAGE} was made from other sources: make image", pytrace=False)


def _works(engine):
    if not shutil.which(engine[0]):
        return False
    done = subprocess.run(
        [*engine, "run", "--rm", "--pull=never", *_LIMITS, IMAGE, "--help"],
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT,
    )
    return done.returncode == 0 and "usage: tf-student" in done.stdout


class Containers:
    """Containers on a network of their own, which end with this object."""

    def __init__(self, engine):
        self._engine, self._names = engine, []
        self._network = f"tf-student-{uuid.uuid4().hex[:8]}"
        self._call("network", "create", f"--subnet={_NETWORK}.0/24", self._network)

    def _call(self, *arguments, check=True):
        return subprocess.run(
            [*self._engine, *arguments],
            check=check,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        ).stdout.strip()

    @staticmethod
    def address(index):
        """The address of a container."""
        return f"{_NETWORK}.{10 + index}"

    def start(self, index, folder, *arguments, **environment):
        """Starts the command of the image, with a folder at the same path.

        Returns:
            The name of the container.
        """
        name = f"{self._network}-{len(self._names)}"
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        self._call(
            *("run", "--detach", f"--name={name}", *_LIMITS),
            *(f"--network={self._network}", f"--ip={self.address(index)}"),
            # The user of the image need not be the owner of the folder.
            *(f"--user={os.getuid()}:{os.getgid()}", f"--volume={folder}:{folder}"),
            *("--env=HOME=/tmp", *variables, IMAGE, *map(str, arguments)),
        )
        self._names.append(name)
        return name

    def kill(self, name):
        """Sends SIGKILL."""
        self._call("kill", "--signal=KILL", name)

    def code(self, name):
        """The exit code, once the container has ended."""
        return int(self._call("wait", name))

    def log(self, name):
        """What the command has printed."""
        return self._call("logs", name, check=False)

    def close(self):
        """Removes containers and network."""
        for name in self._names:
            self._call("rm", "--force", name, check=False)
        self._call("network", "rm", self._network, check=False)


@contextlib.contextmanager
def running():
    """Containers on the first engine that works; skips if there is none."""
    engine = next((engine for engine in _ENGINES if _works(engine)), None)
    if engine is None:
        pytest.skip(f"needs Docker or Podman with the image {IMAGE}: make image")
    _check_sources(engine)
    containers = Containers(engine)
    try:
        yield containers
    finally:
        containers.close()
