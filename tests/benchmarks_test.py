"""`benchmarks/run.py` compares two files of ratios."""

import json
import pathlib
import subprocess
import sys

import pytest

RUN = pathlib.Path(__file__).resolve().parents[1] / "benchmarks/run.py"


def results(path, machine="2 x CPU", **values):
    ratios = {name: {"value": value, "limit": 1.0} for name, value in values.items()}
    path.write_text(json.dumps({"machine": machine, "versions": {}, "ratios": ratios}))
    return str(path)


def run(*arguments):
    return subprocess.run(
        [sys.executable, RUN, *arguments], capture_output=True, text=True
    )


def compare(tmp_path, old, new, *options):
    files = [results(tmp_path / "old", **old), results(tmp_path / "new", **new)]
    return run("--compare", *files, *options)


def test_a_small_rise_is_no_fault(tmp_path):
    done = compare(tmp_path, {"op": 0.2}, {"op": 0.22})
    assert done.returncode == 0
    assert done.stdout.split() == ["op", "0.200", "0.220", "+10.0", "%"]


def test_a_rise_above_the_tolerance_is_shown(tmp_path):
    old, new = {"op": 0.2, "step": 0.5}, {"op": 0.22, "step": 0.6}
    done = compare(tmp_path, old, new)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if "WORSE" in line] == [
        f"{'step':50}   0.500   0.600  +20.0 %  WORSE"
    ]
    assert compare(tmp_path, old, new, "--tolerance=0.25").returncode == 0


def test_other_machines_and_ratios_are_named(tmp_path):
    done = compare(tmp_path, {"a": 0.2}, {"b": 0.3, "machine": "4 x CPU"})
    assert done.returncode == 0
    assert "different machine:\n  2 x CPU\n  4 x CPU" in done.stdout
    assert f"{'a':50} only in the first file" in done.stdout
    assert f"{'b':50} only in the second file" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"ratios": {"op": 1}}', '{"ratios": {}}']
)
def test_a_wrong_file_is_named(tmp_path, text):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    done = run("--compare", str(wrong), results(tmp_path / "new", op=0.2))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"run.py: {wrong} is not a file of results: ")


def test_a_file_or_a_comparison_is_needed():
    done = run()
    assert done.returncode == 2
    assert "give either a file to write or --compare with two files" in done.stderr
