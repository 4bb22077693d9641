"""The scripts for Slurm, with programs that stand in for Slurm's and for tf-student."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"
# The environment of a task of a job array, which is also a job.
_JOB = {
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_JOB_ID": "70",
    "SLURM_ARRAY_JOB_ID": "64",
    "SLURM_ARRAY_TASK_ID": "5",
}
_SCONTROL = """
if [ "$1" = show ]; then printf 'node1\\nnode2\\n'; else echo "scontrol $*" >>calls; fi
"""
# Runs one task of the second node; the exit code is its own.
_SRUN = """
[[ $1 == --* ]] && shift
SLURM_PROCID=1 "$@"
"""


@pytest.fixture
def submit(tmp_path):
    """Runs a script with programs; returns how it ended, and Slurm's calls."""
    programs, folder = tmp_path / "programs", tmp_path / "submitted from"
    programs.mkdir()
    folder.mkdir()

    def submit(script, *arguments, tf_student="", srun=_SRUN, **environment):
        commands = {"scontrol": _SCONTROL, "srun": srun, "tf-student": tf_student}
        for name, text in commands.items():
            if text:
                (programs / name).write_text(f"#!/bin/bash\n{text}\n")
                (programs / name).chmod(0o755)
        path = f"{programs}:/usr/bin:/bin"
        done = subprocess.run(
            ["bash", DEPLOY / script, *arguments],
            env={**os.environ, **_JOB, "PATH": path, **environment},
            cwd=folder,
            capture_output=True,
            text=True,
        )
        calls = folder / "calls"
        done.calls = calls.read_text() if calls.exists() else ""
        calls.unlink(missing_ok=True)
        assert list(folder.iterdir()) == []
        return done

    return submit


_REQUEUED = {"train.sbatch": "70", "pairs.sbatch": "64_5"}


@pytest.mark.parametrize("script", _REQUEUED)
def test_syntax_is_right(script):
    subprocess.run(["bash", "-n", DEPLOY / script], check=True)


def test_each_task_gets_its_tf_config(submit):
    program = 'echo "$TF_CONFIG"; echo "$@"'
    done = submit("train.sbatch", "--preset=digits", "--x=a b", tf_student=program)
    assert (done.returncode, done.stderr, done.calls) == (0, "", "")
    config, _, arguments = done.stdout.rstrip("\n").rpartition("\n")
    assert arguments == "distill --preset=digits --x=a b"
    assert json.loads(config) == {
        "cluster": {"worker": ["node1:23456", "node2:23456"]},
        "task": {"type": "worker", "index": 1},
    }


def test_a_task_of_the_array_makes_pairs(submit):
    done = submit("pairs.sbatch", "--preset=digits", "--x=a b", tf_student='echo "$@"')
    assert (done.returncode, done.stderr, done.calls) == (0, "", "")
    assert done.stdout == "pairs --preset=digits --x=a b\n"


# Terminated, out of memory, lost a worker or stopped before the time limit, unknown.
@pytest.mark.parametrize("code", [143, 137, 75, 1])
@pytest.mark.parametrize("script", _REQUEUED)
def test_a_restart_may_help(submit, script, code):
    done = submit(script, tf_student=f"exit {code}")
    assert done.returncode == code
    assert done.calls == f"scontrol requeue {_REQUEUED[script]}\n"


@pytest.mark.parametrize("script", _REQUEUED)
def test_restarts_are_limited(submit, script):
    calls = [
        submit(script, tf_student="exit 75", SLURM_RESTART_COUNT=count).calls
        for count in ("99", "100")
    ]
    assert calls == [f"scontrol requeue {_REQUEUED[script]}\n", ""]


@pytest.mark.parametrize(
    ("script", "code"),
    [("train.sbatch", 2), ("train.sbatch", 3), ("pairs.sbatch", 2)],
)
def test_a_restart_does_not_help(submit, script, code):
    done = submit(script, tf_student=f"exit {code}")
    assert (done.returncode, done.calls) == (code, "")


@pytest.mark.parametrize("script", _REQUEUED)
def test_missing_program_is_not_repeated(submit, script):
    done = submit(script)
    assert (done.returncode, done.calls) == (127, "")
    assert "tf-student" in done.stderr


# `srun --kill-on-bad-exit` ends the other tasks, and returns the code of any of them.
@pytest.mark.parametrize("code", [143, 75, 137, 0])
def test_error_of_one_task_is_not_repeated(submit, code):
    leave = 'echo "3 tf-student distill: the loss became NaN" >"$TF_STUDENT_ERROR_FILE"'
    done = submit("train.sbatch", tf_student=leave, srun=f"{_SRUN}\nexit {code}")
    assert (done.returncode, done.calls) == (3, "")
    assert done.stderr == "Not restarted: tf-student distill: the loss became NaN\n"


def test_wrong_input_leaves_the_error_of_the_real_command(submit):
    program = os.path.join(sysconfig.get_path("scripts"), "tf-student")
    done = submit(
        "train.sbatch",
        "--steps=-3",
        tf_student=f'exec {program} "$@"',
        srun=f"{_SRUN}\nexit 143",
    )
    assert (done.returncode, done.calls) == (2, "")
    expected = "tf-student distill: `steps` must be at least 1. Received: steps=-3."
    assert done.stderr == f"{expected}\nNot restarted: {expected}\n"
