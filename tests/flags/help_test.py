import subprocess
import sys

import pytest

from tests.flags import commands
from tf_student import __version__

_COMMANDS = (
    "teacher",
    "convert",
    "verify-teacher",
    "pairs",
    "distill",
    "match",
    "sample",
    "interpolate",
    "evaluate",
    "export",
    "rollout",
    "client",
    "gallery",
    "demo",
    "doctor",
)


def _launch(*arguments):
    return subprocess.run(
        [commands.LAUNCHER, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def poison(tmp_path_factory):
    """An environment in which imports fail that would make a help text slow."""
    folder = tmp_path_factory.mktemp("poison")
    for name in ("tensorflow", "keras", "numpy", "PIL", "flask", "grpc"):
        (folder / f"{name}.py").write_text("raise ImportError('too early')")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def helped(poison):
    """The help of every command."""
    return {name: commands.run(name, "--help", **poison) for name in _COMMANDS}


@pytest.fixture(scope="module")
def fully_helped(poison):
    """The full help of every command."""
    return {name: commands.run(name, "--helpfull", **poison) for name in _COMMANDS}


def test_launcher_lists_the_commands():
    finished = _launch("--help")
    assert finished.returncode == 0
    listing = finished.stdout.partition("commands:\n")[2]
    assert tuple(line.split()[0] for line in listing.splitlines()) == _COMMANDS


def test_launcher_without_a_command_says_the_same_and_fails():
    finished = _launch()
    assert (finished.returncode, finished.stdout) == (2, _launch("--help").stdout)


def test_launcher_knows_its_version():
    assert _launch("--version").stdout == f"{__version__}\n"


def test_launcher_hands_help_on_to_the_command(helped):
    assert _launch("sample", "--help").stdout == helped["sample"].out


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_needs_no_large_library(helped, fully_helped, command):
    for finished in (helped[command], fully_helped[command]):
        assert (finished.code, finished.err) == (0, "")


def _flags(text):
    words = [line.split(":")[0].strip() for line in text.splitlines()]
    return {w.lstrip("-").removeprefix("[no]") for w in words if w.startswith("--")}


def _groups(text):
    """The names of the groups of flags in a help text."""
    return [
        line[:-1]
        for line in text.splitlines()
        if line.startswith(("Flags", "absl.")) and line.endswith(":")
    ]


def test_help_lists_only_the_commands_own_flags(fully_helped):
    own = fully_helped["export"].out.partition("\nabsl.")[0]
    assert _flags(own) == {
        "batch",
        "calls",
        "clipping",
        "dry_run",
        "dtype",
        "export_dir",
        "format",
        "guidance",
        "matched_dir",
        "max_count",
        "name",
        "network",
        "ops",
        "preset",
        "solver",
        "spacing",
        "student_dir",
        "teacher_dir",
        "verify",
        "version",
        "warmup",
        "weights",
        "work_dir",
    }


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_shows_one_group_of_flags(helped, command):
    text = helped[command].out
    assert _groups(text) == ["Flags"]
    assert text.endswith("\n\nAdvanced flags: --helpfull\n")


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_begins_with_what_the_command_does(helped, command):
    first, empty, example = helped[command].out.splitlines()[:3]
    assert first.endswith(".") and not empty
    assert example.startswith(f"    tf-student {command}")


@pytest.mark.parametrize("command", _COMMANDS)
def test_full_help_adds_advanced_flags_and_then_absls_own(
    helped, fully_helped, command
):
    text = fully_helped[command].out
    groups = _groups(text)
    assert groups[0] == "Flags"
    assert groups[1:2] in (["Flags for advanced use"], ["absl.app"])
    assert groups[-1] == "absl.flags"
    normal = _flags(helped[command].out)
    listed = [line.strip().partition(":")[0] for line in text.splitlines()]
    first = [n.lstrip("-").removeprefix("[no]") for n in listed if n[:2] == "--"]
    assert set(first[: len(normal)]) == normal
    assert {"flagfile", "log_dir"} <= set(first[len(normal) :])


_PROGRAM = """'''Does nothing.'''
import dataclasses
from tf_student.flags import config_flags, launch
from tf_student.runtime.options import option

@dataclasses.dataclass(frozen=True)
class Config:
    size: int = option(3, "A size.")
    margin: int = option(5, "A margin.", advanced=True)

config_flags.define(Config)

def main():
    print(config_flags.resolve(Config()))

launch.run(main)
"""


@pytest.fixture
def program(tmp_path):
    """Runs a command with an advanced flag."""
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, path, *arguments], capture_output=True, text=True
        ).stdout

    return run


def test_advanced_flags_are_only_in_the_full_help(program):
    assert program("--help") == (
        "Does nothing.\nFlags:\n  --size: A size. (default: 3)\n    (an integer)\n\n"
        "Advanced flags: --helpfull\n"
    )
    own = program("--helpfull").partition("\nabsl.")[0]
    assert own == (
        "Does nothing.\nFlags:\n  --size: A size. (default: 3)\n    (an integer)\n\n"
        "Flags for advanced use:\n"
        "  --margin: A margin. (default: 5)\n    (an integer)\n"
    )


def test_advanced_flags_are_flags_like_any_other(program):
    assert program("--margin=7") == "Config(size=3, margin=7)\n"


def test_a_command_without_a_plan_has_no_dry_run(program, helped):
    assert "dry_run" not in program("--helpfull")
    without = [name for name in _COMMANDS if "dry_run" not in _flags(helped[name].out)]
    assert without == ["doctor"]


@pytest.mark.parametrize(
    ("command", "has", "lacks"),
    [
        ("teacher", "base_width", "distance"),
        ("pairs", "shard_pairs", "learning_rate"),
        ("pairs", "device_batch", "accumulate"),
        ("distill", "distance", "base_width"),
        ("distill", "recompute", "flip"),
        ("match", "objective", "distance"),
        ("match", "extractor", "samples"),
        ("sample", "count", "steps"),
        ("sample", "network", "recompute"),
        ("interpolate", "columns", "calls"),
        ("evaluate", "extractor", "batch_size"),
        ("demo", "work_dir", "steps"),
    ],
)
def test_help_tells_commands_apart(fully_helped, command, has, lacks):
    names = _flags(fully_helped[command].out)
    assert has in names and lacks not in names


def test_help_says_what_an_option_means(helped):
    (line,) = (x for x in helped["distill"].out.splitlines() if "--distance" in x)
    assert line.startswith("  --distance: <l1|l2>: ")
    assert "istance" in line.partition("l2>: ")[2]


def test_help_says_where_defaults_come_from(helped):
    assert "--image_size: Height and width" in helped["convert"].out
    assert "(default: from the weights)" in helped["convert"].out
    assert "from the preset" not in helped["convert"].out
    assert "(default: from the preset)" in helped["teacher"].out
    assert "runs/demo" in helped["demo"].out.partition("--work_dir")[2]


def test_modules_are_found_by_their_name():
    finished = subprocess.run(
        [sys.executable, "-m", "tf_student.flags.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == f"{__version__}\n"
