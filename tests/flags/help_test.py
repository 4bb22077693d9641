import subprocess
import sys

import pytest

from tests.flags import conftest
from tf_student import __version__

_STATIONS = (
    "teacher",
    "convert",
    "verify-teacher",
    "pairs",
    "distill",
    "sample",
    "interpolate",
    "evaluate",
    "export",
    "client",
    "gallery",
    "demo",
    "doctor",
)


def _launch(*arguments):
    return subprocess.run(
        [conftest.LAUNCHER, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def helped(tmp_path_factory):
    """The help of every station where importing TensorFlow fails."""
    folder = tmp_path_factory.mktemp("poison")
    (folder / "tensorflow.py").write_text("raise ImportError('too early')")
    return {
        station: conftest.run(station, "--help", PYTHONPATH=str(folder))
        for station in _STATIONS
    }


def test_launcher_lists_the_stations():
    finished = _launch("--help")
    assert finished.returncode == 0
    listed = [line.split()[0] for line in finished.stdout.splitlines()[6:]]
    assert tuple(listed) == _STATIONS


def test_launcher_without_a_station_says_the_same_and_fails():
    finished = _launch()
    assert (finished.returncode, finished.stdout) == (2, _launch("--help").stdout)


def test_launcher_knows_its_version():
    assert _launch("--version").stdout == f"{__version__}\n"


def test_launcher_hands_help_on_to_the_station(helped):
    assert _launch("sample", "--help").stdout == helped["sample"].out


@pytest.mark.parametrize("station", _STATIONS)
def test_help_needs_no_tensorflow(helped, station):
    assert (helped[station].code, helped[station].err) == (0, "")


@pytest.mark.parametrize("station", _STATIONS)
def test_help_is_quick(helped, station):
    assert helped[station].seconds < 2


def _flags(text):
    words = [line.split(":")[0].strip() for line in text.splitlines()]
    return {w.lstrip("-").removeprefix("[no]") for w in words if w.startswith("--")}


def test_help_lists_only_the_stations_own_flags(helped):
    assert _flags(helped["export"].out) == {
        "calls",
        "dry_run",
        "dtype",
        "export_dir",
        "max_count",
        "name",
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
        "what",
        "work_dir",
    }


@pytest.mark.parametrize(
    ("station", "has", "lacks"),
    [
        ("teacher", "base_width", "distance"),
        ("pairs", "shard_pairs", "learning_rate"),
        ("distill", "distance", "base_width"),
        ("sample", "count", "steps"),
        ("interpolate", "columns", "calls"),
        ("evaluate", "extractor", "batch_size"),
        ("demo", "work_dir", "steps"),
    ],
)
def test_help_tells_stations_apart(helped, station, has, lacks):
    found = _flags(helped[station].out)
    assert has in found and lacks not in found


def test_help_says_what_an_option_means(helped):
    assert (
        "--distance: <l1|l2>: Distance of student and teacher image, summed over"
        in helped["distill"].out
    )


def test_modules_are_found_by_their_name():
    finished = subprocess.run(
        [sys.executable, "-m", "tf_student.flags.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == f"{__version__}\n"
