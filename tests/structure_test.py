"""How the code is arranged, and what no module may do."""

import ast
import collections
import runpy
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]
# Folders of the repository, and where the installed package has them.
FOLDERS = {"tf_student": (), "custom_ops": ("custom_ops",), "flags": ("flags",)}


def _modules() -> dict[str, Path]:
    """Every module of the package, without `tf_student.`."""
    modules = {}
    for folder, prefix in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            # Scripts that build and check the op; not a part of the package.
            if "cc" not in parts:
                modules[".".join(prefix + parts)] = path
    return modules


MODULES = _modules()


def is_package(name: str) -> bool:
    return name.endswith("__init__") and name != "__init__"


def absolute_imports(path: Path) -> set[str]:
    """Whole names that a file imports, anywhere in it: `a.b` and `a.b.c` for both."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return names


def run_python(code: str, cwd: Path | str = "/") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package's modules as an installation has them, in one folder."""
    target = tmp_path_factory.mktemp("installed")
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "cc")
    for folder, place in FOLDERS.items():
        shutil.copytree(
            ROOT / folder, target.joinpath("tf_student", *place), ignore=ignore
        )
    return target


def test_packages_import_downwards_only_and_without_cycles(installed):
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache", str(ROOT / "pyproject.toml")],
        capture_output=True,
        text=True,
        cwd=installed,
        env={"PYTHONPATH": str(installed)},
    )
    assert "2 kept, 0 broken" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", list(filter(is_package, MODULES)))
def test_packages_import_nothing(name):
    assert not absolute_imports(MODULES[name])


def test_only_the_command_line_reads_flags():
    readers = {
        name
        for name, path in MODULES.items()
        if {"absl.flags", "absl.app", "argparse"} & absolute_imports(path)
    }
    assert readers
    assert {name.split(".")[0] for name in readers} == {"flags"}


def test_the_library_prints_nothing():
    def prints(path):
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            for node in ast.walk(ast.parse(path.read_text()))
        )

    printing = {name for name, path in MODULES.items() if prints(path)}
    assert {name for name in printing if not name.startswith("flags.")} == set()


def test_the_op_imports_nothing_of_the_library():
    for name, path in MODULES.items():
        if name.startswith("custom_ops"):
            own = {n for n in absolute_imports(path) if n.startswith("tf_student")}
            assert all(n.startswith("tf_student.custom_ops.") for n in own), name


def test_only_entry_points_are_at_the_top():
    files = {path.name for path in (ROOT / "tf_student").iterdir() if path.is_file()}
    assert files == {"__init__.py", "demo.py", "py.typed"}


def test_no_file_name_exists_three_times():
    names = collections.Counter(path.name for path in MODULES.values())
    del names["__init__.py"]
    assert [name for name, count in names.items() if count > 2] == []


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_modules_are_short():
    sizes = {name: lines(path) for name, path in MODULES.items()}
    assert {name: size for name, size in sizes.items() if size > 300} == {}
    modules = [size for name, size in sizes.items() if not name.endswith("__init__")]
    assert statistics.median(modules) <= 110


def test_functions_are_short():
    long = [
        f"{name}.{node.name}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 45
    ]
    assert long == []


def test_no_test_is_long():
    tests = (ROOT / "tests").rglob("*.py")
    assert [str(path) for path in tests if lines(path) > 300] == []


LIGHT = [
    "__init__",
    "runtime.errors",
    "runtime.options",
    "presets.systems",
    "client.benchmark",
    "client.fetch",
    "client.rest",
    *(n for n in MODULES if n.endswith("_config")),
    *(n for n in MODULES if n.startswith("flags.") and n != "flags.costs"),
]


@pytest.mark.parametrize("name", LIGHT)
def test_help_does_not_import_tensorflow(name):
    name = f"tf_student.{name}".removesuffix(".__init__")
    done = run_python(
        f"import sys, {name}\n"
        "sys.exit(' '.join({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))\n"
    )
    # An empty message exits with 1 and says nothing.
    assert done.stderr.strip() == ""


@pytest.fixture(scope="module")
def wheel():
    """The arguments of setup.py for the wheel."""
    with mock.patch("setuptools.setup") as setup:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            runpy.run_path("setup.py")
    (arguments,) = [call.kwargs for call in setup.call_args_list]
    return arguments


def test_the_wheel_has_every_data_file(wheel):
    data = {
        path.relative_to(ROOT)
        for folder in ("tf_student", "flags")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc", ".so")
        and path.name != "BUILD"
    }
    folders = wheel["package_dir"]
    packed = set()
    for package, patterns in wheel["package_data"].items():
        folder = Path(folders.get(package, package.replace(".", "/")))
        for pattern in patterns:
            packed |= {p.relative_to(ROOT) for p in (ROOT / folder).glob(pattern)}
    assert packed == data


def test_the_wheel_adds_one_name(wheel):
    packages = wheel["packages"]
    assert {package.split(".")[0] for package in packages} == {"tf_student"}
    folders = {"tf_student." + name for name in MODULES if is_package(name)}
    expected = {"tf_student", *(name.removesuffix(".__init__") for name in folders)}
    assert set(packages) == expected
    assert len(packages) == len(expected)


@pytest.mark.parametrize("name", ["setup", "tests", "benchmarks", "tf_student"])
def test_a_clone_adds_nothing_to_the_package(name):
    done = run_python(f"import tf_student.{name}", cwd=ROOT)
    assert f"No module named 'tf_student.{name}'" in done.stderr


def test_no_class_exists_twice_in_a_clone():
    done = run_python(
        "import importlib, sys\n"
        "import tf_student.flags.main, tf_student.models.student, flags\n"
        "files = [m.__file__ for n, m in sys.modules.items()\n"
        "         if n.startswith('tf_student') and m.__file__]\n"
        "print(len(files) - len(set(files)))",
        cwd=ROOT,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_autograph_converts_nothing():
    """Conversion takes seconds at the start of every process that trains."""
    for name, path in MODULES.items():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        functions = {
            node.func if ast.unparse(node.func) == "tf.function" else node.args[0]
            for node in nodes
            if isinstance(node, ast.Call)
            and any(ast.unparse(k) == "autograph=False" for k in node.keywords)
        }
        for node in nodes:
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.function":
                assert node in functions, f"{name}:{node.lineno}"
