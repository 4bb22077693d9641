"""`deploy/Dockerfile`: its image, and containers that work together.

`make engines` runs this; it needs Podman or Docker, and the base image that the
Dockerfile names, or debootstrap to make one of the same release.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.engines.pairs_command import content, wait_for
from tests.flags.commands import fork
from tests.flags.conftest import PAIRS, TRAIN
from tests.local_workers import free_ports
from tf_student.models.student import Student
from tf_student.runtime.version import __version__

ROOT = Path(__file__).parents[2]
_DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_BASE = re.search(r"^ARG BASE=(\S+)", _DOCKERFILE.read_text(), re.M)[1]
_IMAGE = f"tf-student:{__version__}-engine"
_RUNS = "/work/runs"


def _engine(*arguments, **options):
    return subprocess.run(
        [_PROGRAM, *arguments], capture_output=True, text=True, **options
    )


_PROGRAM = shutil.which("podman") or shutil.which("docker") or ""
_IS_PODMAN = _PROGRAM.endswith("podman")


def _base(folder):
    """The base image, pulled or made."""
    if _engine("image", "inspect", _BASE).returncode == 0:
        return _BASE
    if _engine("pull", f"docker.io/library/{_BASE}").returncode == 0:
        return f"docker.io/library/{_BASE}"
    if not shutil.which("debootstrap"):
        pytest.skip(f"needs the image {_BASE}, or debootstrap to make one")
    root, archive = folder / "root", folder / "root.tar"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True)
    subprocess.run(["tar", "--create", "-f", archive, "-C", root, "."], check=True)
    made = f"localhost/{_BASE}"
    _engine("import", archive, made, check=True)
    return made


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image of this clone, without optional packages."""
    if not _PROGRAM or _engine("info").returncode:
        pytest.skip("needs Podman or Docker")
    base = _base(tmp_path_factory.mktemp("base"))
    # In a container there may be no other way to build one.
    nested = ("--isolation=chroot", "--cap-add=all") if _IS_PODMAN else ()
    built = _engine(
        *("build", "--network=host", *nested, f"--file={_DOCKERFILE}"),
        *(f"--build-arg=BASE={base}", "--build-arg=EXTRAS=", f"--tag={_IMAGE}", ROOT),
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return _IMAGE


@pytest.fixture
def start(image, tmp_path):
    """Starts a command in a container with the folder of the runs."""
    os.chmod(tmp_path, 0o777)
    names = []

    def run(name, *arguments, **environment):
        names.append(name)
        _engine(
            *("run", "--detach", f"--name={name}", "--network=host"),
            *(f"--volume={tmp_path}:{_RUNS}", f"--user={os.getuid()}"),
            *(f"--env={key}={value}" for key, value in environment.items()),
            *(image, *arguments),
            check=True,
        )

    yield run
    for name in names:
        _engine("rm", "--force", name)


def _end(name):
    """Waits for a container, which must have succeeded."""
    code = _engine("wait", name).stdout.strip()
    assert code == "0", _engine("logs", name)


def test_indexed_containers_leave_the_bytes_of_one_process(start, teacher, tmp_path):
    arguments = ("pairs", "--preset=digits", *PAIRS)
    done = fork(
        *arguments, f"--teacher_dir={teacher}", f"--pairs_dir={tmp_path / 'whole'}"
    )
    assert done.code == 0, done.err

    def begin(index, name):
        places = (f"--teacher_dir={_RUNS}/teacher", f"--pairs_dir={_RUNS}/parts")
        start(name, *arguments, *places, JOB_COMPLETION_INDEX=index, NUM_WORKERS=2)

    begin(0, "tf-student-0")
    begin(1, "tf-student-1")
    wait_for(lambda: list((tmp_path / "parts").glob("completed/*")))
    _engine("kill", "--signal=KILL", "tf-student-1", check=True)
    begin(1, "tf-student-1-again")
    _end("tf-student-0")
    _end("tf-student-1-again")
    # The last worker that ends completes the set.
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_two_containers_train_together(start, teacher, tmp_path):
    ports = free_ports(2)
    workers = [f"127.0.0.1:{port}" for port in ports]
    pairs = ("--preset=digits", *PAIRS, f"--teacher_dir={teacher}")
    assert fork("pairs", *pairs, f"--pairs_dir={tmp_path / 'pairs'}").code == 0
    for index in range(2):
        task = {"type": "worker", "index": index}
        start(
            f"tf-student-worker-{index}",
            *("distill", "--preset=digits", *TRAIN, "--adam_epsilon=1e-3"),
            *(f"--teacher_dir={_RUNS}/teacher", f"--pairs_dir={_RUNS}/pairs"),
            f"--student_dir={_RUNS}/student",
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": task}),
        )
    for index in range(2):
        _end(f"tf-student-worker-{index}")
    one = fork(
        *("distill", "--preset=digits", *TRAIN, "--adam_epsilon=1e-3"),
        *(f"--teacher_dir={teacher}", f"--pairs_dir={tmp_path / 'pairs'}"),
        f"--student_dir={tmp_path / 'alone'}",
    )
    assert one.code == 0, one.err
    weights, expected = (
        Student.load(str(tmp_path / name)).get_weights()
        for name in ("student", "alone")
    )
    for value, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-3)
