"""The source distribution, and the wheel with the op's library of this installation."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from tf_student.custom_ops.group_norm_silu.python import ops

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "wheels.yml"
OP = "tf_student/custom_ops/group_norm_silu"
# The folders of the package, and where a wheel has them.
FOLDERS = {
    "tf_student": "tf_student",
    "custom_ops": "tf_student/custom_ops",
    "flags": "tf_student/flags",
}


def run(command, *, cwd, **environment):
    """Runs a program of this environment, and returns how it ended."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def built(clone, *options, **environment):
    """Builds distributions of a clone, and returns their folder."""
    command = (sys.executable, "-m", "build", "--no-isolation", *options)
    done = run(command, cwd=clone, **environment)
    assert done.returncode == 0, done.stdout
    return clone / "dist"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of which nothing is built."""
    pytest.importorskip("build", reason="needs build from PyPI")
    ignored = (".*", "__pycache__", "*.so", "*.egg-info", "build", "dist", "runs")
    clone = tmp_path_factory.mktemp("wheel") / "clone"
    return shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*ignored))


@pytest.fixture(scope="module")
def distributions(clone):
    """A source distribution, and the wheel that is made of it with the op."""
    if not ops.library_loaded():
        pytest.skip("the op's library was not built")
    return built(clone, TF_STUDENT_OP_LIBRARY=ops.library_path())


@pytest.fixture(scope="module")
def wheel(distributions):
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        yield opened


def modules_and_data():
    """What of the repository a wheel holds, under the wheel's names."""
    names = set()
    for folder, place in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT / folder)
            source = folder == "custom_ops" and (
                "cc" in name.parts or path.suffix != ".py"
            )
            left_out = path.suffix in (".pyc", ".so") or path.name == "BUILD"
            if path.is_file() and not source and not left_out:
                names.add(f"{place}/{name}")
    return names


def test_the_wheel_is_for_every_python(distributions, wheel):
    assert re.fullmatch(r".*-py3-none-linux_\w+\.whl", Path(wheel.filename).name)
    (settings,) = [name for name in wheel.namelist() if name.endswith("/WHEEL")]
    lines = wheel.read(settings).decode().splitlines()
    assert "Root-Is-Purelib: false" in lines
    (tag,) = [line for line in lines if line.startswith("Tag: ")]
    assert tag.startswith("Tag: py3-none-linux_")


def test_the_wheel_holds_the_op_the_modules_and_their_data(wheel):
    library = Path(ops.library_path())
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == modules_and_data() | {f"{OP}/{library.name}"}
    assert wheel.read(f"{OP}/{library.name}") == library.read_bytes()
    # The filter above is not what leaves out or lets in these.
    assert "tf_student/gallery/page.html" in packed
    assert "tf_student/flags/recipes/cifar10.flags" in packed
    assert "tf_student/serving/page/index.html" in packed
    assert not any("test" in Path(name).name for name in packed)


def test_the_wheel_has_the_command(wheel):
    (points,) = [n for n in wheel.namelist() if n.endswith("/entry_points.txt")]
    text = wheel.read(points).decode()
    assert text.strip() == "[console_scripts]\ntf-student = tf_student.flags.main:run"


def test_the_sources_suffice_to_build_the_op(distributions):
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    kernels = (ROOT / "custom_ops/group_norm_silu/cc").rglob("*.*")
    needed = {
        str(path.relative_to(ROOT))
        for path in kernels
        if path.suffix in (".cc", ".h") or path.name == "build.py"
    }
    assert len(needed) > 20
    assert needed | {"setup.py", "pyproject.toml", "LICENSE"} <= names
    assert not any(name.endswith(".so") for name in names)


def test_only_tensorflow_is_missing_from_the_wheel(distributions, wheel, tmp_path):
    """The command of the Makefile, whose result has the tag of a manylinux policy."""
    pytest.importorskip("auditwheel", reason="needs auditwheel from PyPI")
    rule = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (exclude,) = re.findall(r"auditwheel repair\s+--exclude='(\S+)'", rule)
    options = (f"--exclude={exclude}", f"--wheel-dir={tmp_path}")
    done = run(("auditwheel", "repair", *options, wheel.filename), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (repaired,) = tmp_path.glob("*.whl")
    assert re.search(r"-py3-none-manylinux_2_\d+_\w+\.whl$", repaired.name)
    with zipfile.ZipFile(repaired) as opened:
        libraries = [name for name in opened.namelist() if ".so" in name]
    assert libraries == [f"{OP}/{Path(ops.library_path()).name}"]


def test_without_a_compiler_the_package_is_built_without_the_op(clone):
    missing = {"CXX": "no-such-compiler", "NVCC": "no-such-compiler"}
    built(clone, "--wheel", "--outdir=pure", **missing)
    (wheel,) = (clone / "pure").glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert packed == modules_and_data()


def test_a_library_for_another_tensorflow_is_refused(clone, tmp_path):
    other = tmp_path / "libgroup_norm_silu.tf2.20.0.so"
    other.write_bytes(b"")
    done = run(
        (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir=other"),
        cwd=clone,
        TF_STUDENT_OP_LIBRARY=str(other),
    )
    assert done.returncode != 0
    assert "`TF_STUDENT_OP_LIBRARY` must be a file libgroup_norm" in done.stdout
    assert f"Received: TF_STUDENT_OP_LIBRARY={other}." in done.stdout
    assert not list((clone / "other").glob("*.whl"))


# The workflow.


def test_every_supported_python_is_tested():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    pythons = jobs["test"]["strategy"]["matrix"]["python"]
    (oldest,) = re.findall(
        r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text()
    )
    assert pythons == [f"3.{minor}" for minor in range(int(oldest), 14)]


def test_the_workflow_runs_what_exists():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    commands = [s["run"] for job in jobs.values() for s in job["steps"] if "run" in s]
    assert [command.split()[0] for command in commands] == ["make", ".ci/test_wheel"]
    assert "\nwheel:\n" in (ROOT / "Makefile").read_text()
    script = ROOT / ".ci" / "test_wheel"
    assert os.access(script, os.X_OK)


def test_the_workflow_fits_its_schema():
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema from PyPI")
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")
    done = run((*command, "vendor.github-workflows", str(WORKFLOW)), cwd=ROOT)
    assert done.returncode == 0, done.stdout
