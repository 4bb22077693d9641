"""Commands that are killed, stopped and restarted end as undisturbed ones do."""

import numpy as np
import pytest
import tensorflow as tf

from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.training.reporter import read_metrics

_COMMANDS = ("teacher", "pairs", "distill")


@pytest.mark.parametrize("command", _COMMANDS)
def test_runs_ended_as_they_were_made_to(disturbed, command):
    codes = [finished.code for finished in disturbed[command]]
    assert codes == [-9, -9, 75, 0], [f.err[-500:] for f in disturbed[command]]


@pytest.mark.parametrize("command", _COMMANDS)
def test_sigterm_ends_in_one_clear_line(disturbed, command):
    err = disturbed[command][2].err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(
        f"tf-student {command}: stopped by SIGTERM. "
    )


def test_online_run_ended_as_it_was_made_to(disturbed):
    codes = [finished.code for finished in disturbed["online"]]
    assert codes == [-9, 75, 0], [f.err[-500:] for f in disturbed["online"]]
    err = disturbed["online"][1].err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("tf-student distill: stopped by SIGTERM. ")


def test_killed_matching_ended_as_it_was_made_to(disturbed):
    codes = [finished.code for finished in disturbed["match"]]
    assert codes == [-9, 0], [f.err[-500:] for f in disturbed["match"]]


def test_disturbed_online_run_leaves_the_weights_of_stored_pairs(
    disturbed, disturbed_directory, chain
):
    online, stored = (
        Student.load(str(path)).get_weights()
        for path in (disturbed_directory / "online", chain.work / "student")
    )
    for a, b in zip(online, stored, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("part", "load"),
    [
        ("teacher", lambda directory: Teacher.load(directory).unet),
        ("student", Student.load),
        ("matched", Student.load),
    ],
)
def test_disturbed_training_leaves_the_same_weights(
    disturbed, disturbed_directory, chain, part, load
):
    after, undisturbed = (
        load(str(work / part)).get_weights()
        for work in (disturbed_directory, chain.work)
    )
    for a, b in zip(after, undisturbed, strict=True):
        np.testing.assert_array_equal(a, b)


# Both networks, and two moments for each weight; of the fake score too.
@pytest.mark.parametrize(
    ("part", "step", "arrays"),
    [("teacher", 24, 4 * 70), ("student", 24, 4 * 70), ("matched", 8, 7 * 70)],
)
def test_disturbed_training_leaves_the_same_optimizer(
    disturbed, disturbed_directory, chain, part, step, arrays
):
    after, undisturbed = (
        tf.train.load_checkpoint(str(work / part / "checkpoints" / f"ckpt-{step}"))
        for work in (disturbed_directory, chain.work)
    )
    names = set(after.get_variable_to_shape_map()) - {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
    }
    assert len(names) > arrays
    for name in names:
        np.testing.assert_array_equal(
            after.get_tensor(name), undisturbed.get_tensor(name), name
        )


@pytest.mark.parametrize("part", ["teacher", "student", "matched"])
def test_disturbed_training_reports_each_step_once(
    disturbed, disturbed_directory, chain, part
):
    lines = read_metrics(str(disturbed_directory / part))
    kinds = [(line["step"], "loss" in line) for line in lines]
    assert len(set(kinds)) == len(kinds)
    undisturbed = read_metrics(str(chain.work / part))
    assert set(kinds) >= {(line["step"], "loss" in line) for line in undisturbed}


def test_sigterm_saves_the_step_whose_evaluation_it_stopped(disturbed):
    lines = [disturbed[name][2].err.splitlines()[-1] for name in ("teacher", "distill")]
    for line in lines:
        assert line.endswith("Saved step 16 of 24.")


def test_disturbed_pairs_have_the_same_bytes(
    disturbed, disturbed_directory, chain, contents
):
    after = contents(disturbed_directory / "pairs")
    undisturbed = contents(chain.work / "pairs")
    assert sorted(after) == sorted(undisturbed)
    assert len(after) == 18 + 2 + 3
    for name, data in undisturbed.items():
        assert after[name] == data, name
