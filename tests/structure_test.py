"""The plan of the house: who may import whom, and what no module may do."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]

# A module imports from floors below its own alone.
FLOORS = [
    # Formulas and plain machinery.
    "__init__ errors images losses noise sampler streams evaluation.precision "
    "evaluation.similarity evaluation.tfgan gallery.gate "
    "serving.environment serving.native serving.stranger "
    "custom_ops.group_norm_silu.reference progress training.ema preemption "
    "training.profile",
    "options client.arrays evaluation.neighbours serving.signatures "
    "serving.verification",
    "config convert.config evaluation.config files pairs.config serving.config "
    "custom_ops.group_norm_silu.python.ops "
    "training.distribute",
    "datasets evaluation.cache evaluation.statistics generator layers pairs.records "
    "presets run_directory schedules serving.metadata training.optimizer "
    "client.config gallery.app gallery.config "
    "training.reporter architecture convert.rows",
    "serving.versions serving.warmup convert.ddpm "
    "convert.denoising_student "
    "convert.diffusers convert.diffusers_config convert.tensor_files "
    "convert.torch_file evaluation.digits_classifier evaluation.features "
    "evaluation.frechet evaluation.pictures",
    "memory convert.sources evaluation.inception pairs.ledger pairs.order "
    "pairs.tfds_metadata client.load client.rest client.rpc gallery.models "
    "training.state unet",
    "convert.load evaluation.extractors evaluation.metrics pairs.online pairs.reader "
    "pairs.writer student training.checkpoints training.step training.teacher",
    "training.results",
    "costs evaluation.result model_directory pairs.beam pairs.checker "
    "pairs.importer serving.export training.loop",
    "evaluation.report stations.session stations.training training.distill",
    "stations.client stations.convert stations.distill stations.draw stations.export "
    "stations.gallery stations.pairs stations.sources stations.teacher stations.verify",
    "stations.measure",
    "stations.evaluate",
    "stations.demo",
    # The command line.
    "flags.output",
    "flags.config_flags flags.launch flags.main",
    "flags.client flags.convert flags.demo flags.distill flags.doctor flags.evaluate "
    "flags.export flags.gallery "
    "flags.interpolate flags.pairs flags.sample flags.teacher flags.verify_teacher",
]


def _modules() -> dict[str, Path]:
    """Every module below the import name, without `tf_student.`."""
    modules = {}
    for folder, prefix in (
        ("tf_student", ()),
        ("custom_ops", ("custom_ops",)),
        ("flags", ("flags",)),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            # Scripts that build and check the op; no part of the package.
            if "cc" in parts:
                continue
            modules[".".join(prefix + parts)] = path
    return modules


MODULES = _modules()
FLOOR = {name: i for i, floor in enumerate(FLOORS) for name in floor.split()}


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


def own_imports(path: Path) -> set[str]:
    """The modules of this library that a file imports."""
    own = set()
    for name in absolute_imports(path):
        if name == "tf_student.__version__":
            own.add("__init__")
        elif name.removeprefix("tf_student.") in MODULES:
            own.add(name.removeprefix("tf_student."))
    return own


def test_every_module_has_a_floor_and_every_floor_its_modules():
    assert set(FLOOR) == {name for name in MODULES if not is_package(name)}


@pytest.mark.parametrize("name", FLOOR)
def test_imports_go_strictly_down(name):
    upward = {
        other for other in own_imports(MODULES[name]) if not FLOOR[other] < FLOOR[name]
    }
    assert not upward


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


def test_the_op_knows_nothing_of_the_library():
    for name, path in MODULES.items():
        if name.startswith("custom_ops"):
            assert all(o.startswith("custom_ops.") for o in own_imports(path)), name


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_long(name):
    assert lines(MODULES[name]) <= 300


def test_no_test_is_long():
    tests = (ROOT / "tests").rglob("*.py")
    assert [str(path) for path in tests if lines(path) > 300] == []


LIGHT = [
    "options",
    "presets",
    "errors",
    "client.load",
    "client.rest",
    "stations.client",
    *(n for n in FLOOR if n.split(".")[-1] == "config"),
    *(n for n in FLOOR if n.startswith("flags.")),
]


@pytest.mark.parametrize("name", LIGHT)
def test_help_does_not_wait_for_tensorflow(name):
    program = (
        f"import sys, tf_student.{name}\n"
        "sys.exit(' '.join({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd="/"
    )
    # An empty message exits with 1 and says nothing.
    assert done.stderr.strip() == ""


@pytest.fixture(scope="module")
def wheel():
    """What setup.py says of the wheel."""
    with mock.patch("setuptools.setup") as setup:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            runpy.run_path("setup.py")
    (arguments,) = [call.kwargs for call in setup.call_args_list]
    return arguments


def test_the_wheel_carries_the_page(wheel):
    folder = ROOT / "tf_student" / "gallery"
    patterns = wheel["package_data"]["tf_student.gallery"]
    carried = {path.name for pattern in patterns for path in folder.glob(pattern)}
    assert carried == {"page.html", "page.css", "page.js"}


def test_the_wheel_adds_one_name(wheel):
    packages = wheel["packages"]
    assert {package.split(".")[0] for package in packages} == {"tf_student"}
    found = {"tf_student." + name for name in MODULES if is_package(name)}
    expected = {"tf_student", *(name.removesuffix(".__init__") for name in found)}
    assert set(packages) == expected
    assert len(packages) == len(expected)


def test_a_clone_has_the_whole_package_without_being_installed():
    code = (
        "import sys; "
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in f.__module__]; "
        "import tf_student.flags.main as flags, tf_student.custom_ops as ops; "
        "print(flags.__file__, ops.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    expected = [ROOT / "flags" / "main.py", ROOT / "custom_ops" / "__init__.py"]
    assert found.stdout.split() == [str(path) for path in expected], found.stderr
