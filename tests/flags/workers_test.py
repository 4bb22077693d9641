"""Which worker a process is, by the environment that Slurm or Kubernetes set."""

import pytest
from tf_student.flags import pairs

from tf_student.pairs.pairs_config import EngineConfig
from tf_student.runtime.errors import InputError


def test_a_process_without_an_index_makes_everything():
    assert pairs.worker_from({}) == EngineConfig()


def _array(tasks, task, step=1):
    """The environment of a task of an array, as Slurm sets it."""
    return {
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_MIN": str(min(tasks)),
        "SLURM_ARRAY_TASK_MAX": str(max(tasks)),
        "SLURM_ARRAY_TASK_COUNT": str(len(tasks)),
        "SLURM_ARRAY_TASK_STEP": str(step),
    }


@pytest.mark.parametrize(
    ("tasks", "step"),
    [(range(4), 1), (range(1, 5), 1), (range(0, 13, 4), 4), (range(5, 25, 5), 5)],
    ids=["0-3", "1-4", "0-12:4", "5-20:5"],
)
@pytest.mark.parametrize("num_workers", [None, 4])
def test_tasks_of_a_whole_array_are_the_workers(tasks, step, num_workers):
    workers = [
        pairs.worker_from(_array(tasks, task, step), num_workers) for task in tasks
    ]
    assert workers == [EngineConfig(worker_index=i, num_workers=4) for i in range(4)]


@pytest.mark.parametrize(
    "tasks", [[3], [1, 2, 3], [2, 3], [0, 2], [1, 3], [0, 1, 3]], ids=str
)
def test_repeated_tasks_keep_their_part(tasks):
    """`--array=1,3 --num_workers=4`, after `--array=0-3`."""
    for task in tasks:
        expected = EngineConfig(worker_index=task, num_workers=4)
        assert pairs.worker_from(_array(tasks, task), 4) == expected


@pytest.mark.parametrize("tasks", [[1, 2, 5], [1, 3, 7], [0, 8]], ids=str)
def test_gaps_need_the_number_of_workers(tasks):
    with pytest.raises(InputError) as raised:
        pairs.worker_from(_array(tasks, tasks[0]))
    assert str(raised.value) == (
        "`num_workers` must be given for a job array with gaps, whose task IDs are the "
        f"indices of workers. Received: SLURM_ARRAY_TASK_COUNT={len(tasks)} from "
        f"{tasks[0]} to {tasks[-1]}."
    )


def test_index_of_an_array_must_be_below_the_number_of_workers():
    with pytest.raises(InputError, match="`worker_index` must be below `num_workers`"):
        pairs.worker_from(_array(range(8), 5), 4)
    with pytest.raises(InputError, match="worker_index=7, num_workers=4"):
        pairs.worker_from(_array([1, 7], 7), 4)


def test_array_of_a_slurm_without_some_variables():
    environment = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5"}
    expected = EngineConfig(worker_index=7, num_workers=9)
    assert pairs.worker_from({"SLURM_ARRAY_TASK_ID": "7"}, 9) == expected
    environment |= {"SLURM_ARRAY_TASK_COUNT": "4"}
    expected = EngineConfig(worker_index=2, num_workers=4)
    assert pairs.worker_from(environment) == expected


def test_a_pod_of_a_kubernetes_indexed_job_knows_its_part():
    environment = {"JOB_COMPLETION_INDEX": "3", "NUM_WORKERS": "8"}
    expected = EngineConfig(worker_index=3, num_workers=8)
    assert pairs.worker_from(environment) == expected
    del environment["NUM_WORKERS"]
    assert pairs.worker_from(environment, 8) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"JOB_COMPLETION_INDEX": "3"}, "NUM_WORKERS must be a number in a job with"),
        (
            {"JOB_COMPLETION_INDEX": "3", "NUM_WORKERS": "many"},
            "unless --num_workers replaces it. Received: NUM_WORKERS=many.",
        ),
        ({"JOB_COMPLETION_INDEX": "1-3"}, "Received: JOB_COMPLETION_INDEX=1-3."),
        ({"SLURM_ARRAY_TASK_ID": ""}, "Received: SLURM_ARRAY_TASK_ID=."),
        ({"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT must be a number in"),
    ],
)
def test_missing_and_wrong_variables_are_named(environment, message):
    with pytest.raises(InputError) as raised:
        pairs.worker_from(environment)
    assert message in str(raised.value)


def test_flags_replace_the_environment(monkeypatch):
    for name, value in _array([1, 2, 5], 5).items():
        monkeypatch.setenv(name, value)
    flags = pairs.flags.FlagValues()
    for name in ("worker_index", "num_workers"):
        pairs.flags.DEFINE_integer(name, None, "", flag_values=flags)
    flags(["pairs", "--worker_index=1", "--num_workers=3"])
    monkeypatch.setattr(pairs.flags, "FLAGS", flags)
    monkeypatch.setattr(pairs.config_flags, "FLAGS", flags)
    assert pairs._engine() == EngineConfig(worker_index=1, num_workers=3)
