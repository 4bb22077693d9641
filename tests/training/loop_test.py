import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from tf_student.runtime.devices import make_strategy
from tf_student.runtime.errors import DivergedError, InputError, Preempted
from tf_student.training import loop
from tf_student.training.checkpoints import Checkpoints
from tf_student.training.reporter import read_metrics
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import LogConfig

_LOG = LogConfig(log_every=5, checkpoint_every=5, checkpoints=3, evaluate_every=4)


@pytest.fixture
def train(one_replica, make_toy_state, toy_train, tmp_path):
    """Runs a task in a new state, as a new process would."""

    def run(task, *, strategy=one_replica, log=_LOG, **changes):
        config = toy_train(**changes)
        state = make_toy_state(strategy, config)
        loop.train(task, state, TrainRun(str(tmp_path), strategy, config, log))
        return state

    return run


def _weights(state):
    return [v.numpy() for v in state.model.variables + state.ema.variables]


def _checkpointed(tmp_path):
    folder = tmp_path / "checkpoints"
    return sorted(
        int(path.stem.removeprefix("ckpt-")) for path in folder.glob("*.index")
    )


def test_learns(train, toy_task):
    state = train(toy_task(), steps=100, learning_rate=0.1)
    np.testing.assert_allclose(_weights(state)[0], [[2.0]], atol=0.01)


def test_saves_regularly_and_at_the_end(train, toy_task, tmp_path):
    train(toy_task(), steps=12)
    assert _checkpointed(tmp_path) == [5, 10, 12]


def test_evaluates_regularly_and_at_the_end(train, toy_task):
    task = toy_task()
    train(task, steps=10)
    assert task.evaluated == [4, 8, 10]


def test_reports_the_mean_loss_since_the_last_line(train, toy_task, tmp_path):
    # Weight 0.5 fits y = 2x badly by 1.5 x; a rate of zero keeps it there.
    train(toy_task(), steps=5, learning_rate=0.0)
    lines = {line["step"]: line["loss"] for line in read_metrics(str(tmp_path))}
    # Mean squares of x: steps 1 to 4 see 0 1 2 3, 4 0 1 2, 3 4 0 1, 2 3 4 0;
    # step 5 sees 1 2 3 4.
    assert sorted(lines) == [4, 5]
    np.testing.assert_allclose(lines[4], 1.5**2 * 90 / 16)
    np.testing.assert_allclose(lines[5], 1.5**2 * 30 / 4)


def test_reports_the_time_of_the_first_step_once(train, toy_task, tmp_path):
    train(toy_task(), steps=9)
    first, *later = read_metrics(str(tmp_path))
    assert first["first_step_seconds"] > 0
    assert later
    assert not any("first_step_seconds" in line for line in later)


def test_resumes_from_the_last_checkpoint(train, toy_task):
    first, second = toy_task(), toy_task()
    train(first, steps=6)
    train(second, steps=10)
    assert (first.starts, second.starts) == ([0], [24])


def test_resumed_run_equals_an_uninterrupted_one(train, toy_task, tmp_path):
    train(toy_task(), steps=6)
    resumed = train(toy_task(), steps=10)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    uninterrupted = train(toy_task(), steps=10)
    np.testing.assert_array_equal(_weights(resumed), _weights(uninterrupted))


def test_finished_run_reads_nothing(train, toy_task):
    train(toy_task(), steps=6)
    second = toy_task()
    train(second, steps=6)
    assert second.starts == []


def test_replicas_share_a_batch(train, toy_task, strategy):
    state = train(toy_task(), strategy=strategy, steps=3)
    # Three steps of Adam down 2 (w - 2) mean(x ** 2), with means 3.5, 5.25 and 6.5.
    np.testing.assert_allclose(_weights(state)[0], [[0.5298374]], rtol=1e-6)


def test_rejects_a_batch_that_replicas_do_not_divide(train, toy_task):
    two = make_strategy(["CPU:0", "CPU:1"])
    with pytest.raises(InputError, match="batch_size=5, replicas=2"):
        train(toy_task(), strategy=two, batch_size=5)


def test_loss_that_is_not_finite_names_its_step(train, toy_task):
    # Position 25 is in the seventh batch of four; the next log line is at 8.
    with pytest.raises(DivergedError, match="loss became nan at step 7"):
        train(toy_task(fault_at=25), steps=20)


def test_last_good_checkpoint_is_kept_after_divergence(
    train, toy_task, tmp_path, make_toy_state, one_replica, toy_train
):
    with pytest.raises(DivergedError):
        train(toy_task(fault_at=25), steps=20)
    assert _checkpointed(tmp_path) == [5]
    state = make_toy_state(one_replica, toy_train())
    assert Checkpoints(state, str(tmp_path), 3).restore() == 5
    assert np.isfinite(_weights(state)).all()


def test_divergence_at_a_checkpoint_is_not_saved(train, toy_task, tmp_path):
    # Position 39 is in the tenth batch.
    with pytest.raises(DivergedError, match="step 10"):
        train(toy_task(fault_at=39), steps=20)
    assert _checkpointed(tmp_path) == [5]


def test_gradient_that_is_not_finite_is_not_saved(train, toy_task, tmp_path):
    task = toy_task()

    def loss(model, batch, seed):
        position, x = batch
        # At zero the root is finite and its slope is not.
        inside = tf.where(position == 39, 0.0 * model(x)[:, 0], 1.0)
        return tf.sqrt(inside) + 0.0 * model(x)[:, 0]

    task.loss = loss
    with pytest.raises(DivergedError, match="gradient norm became nan at step 10"):
        train(task, steps=20)
    assert _checkpointed(tmp_path) == [5]


def test_run_resumes_from_the_checkpoint_before_divergence(train, toy_task):
    with pytest.raises(DivergedError):
        train(toy_task(fault_at=25), steps=20)
    healthy = toy_task()
    train(healthy, steps=10)
    assert healthy.starts == [20]


@pytest.fixture
def sigterm_after(monkeypatch):
    """Sends SIGTERM at the end of a method's call in a step."""

    def prepare(owner, name, step):
        method = getattr(owner, name)

        def signalled(self, *arguments):
            result = method(self, *arguments)
            if int(self._state.step.numpy()) == step:
                os.kill(os.getpid(), signal.SIGTERM)
            return result

        monkeypatch.setattr(owner, name, signalled)

    return prepare


def test_sigterm_saves_and_stops(train, toy_task, tmp_path, sigterm_after):
    # It arrives after what follows step 5 was decided.
    sigterm_after(loop.Results, "report", 5)
    with pytest.raises(Preempted, match="Saved step 6 of 20"):
        train(toy_task(), steps=20)
    assert _checkpointed(tmp_path) == [5, 6]


def test_sigterm_while_the_step_is_compiled_ends_at_once(train, toy_task, tmp_path):
    task = toy_task()
    loss = task.loss

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss(*arguments)

    task.loss = interrupted
    with pytest.raises(Preempted, match="No step was done since the last checkpoint"):
        train(task, steps=5)
    second = toy_task()
    train(second, steps=5)
    assert second.starts == [0]


def test_run_that_sigterm_stopped_resumes(train, toy_task, sigterm_after):
    sigterm_after(loop.Results, "report", 5)
    with pytest.raises(Preempted):
        train(toy_task(), steps=12)
    second = toy_task()
    train(second, steps=12)
    assert second.starts == [24]


def test_sigterm_after_the_last_evaluation_is_ignored(
    train, toy_task, tmp_path, sigterm_after
):
    sigterm_after(Checkpoints, "save", 10)
    train(toy_task(), steps=10)
    assert _checkpointed(tmp_path) == [5, 10]


def _damaged(task, message):
    def diagnose():
        raise InputError(message)

    task.diagnose = diagnose
    return task


def test_damaged_example_is_diagnosed(train, toy_task):
    task = _damaged(toy_task(), "shard 3 is damaged")

    def examples(start, part):
        def check(i):
            with tf.control_dependencies([tf.debugging.assert_less(i, np.int64(9))]):
                return i, tf.cast(i, tf.float32)[None]

        return tf.data.Dataset.range(start, 100).map(check)

    task.examples = examples
    with pytest.raises(InputError, match="shard 3 is damaged"):
        train(task)


def test_damage_found_while_evaluating_is_diagnosed(train, toy_task):
    task = _damaged(toy_task(), "held-out shard 1 is damaged")

    def evaluate(state, reporter):
        raise tf.errors.DataLossError(None, None, "corrupted record at 0")

    task.evaluate = evaluate
    with pytest.raises(InputError, match="held-out shard 1 is damaged"):
        train(task)


def test_undiagnosed_fault_keeps_its_own_error(train, toy_task):
    task = toy_task()

    def evaluate(state, reporter):
        raise tf.errors.DataLossError(None, None, "corrupted record at 0")

    task.evaluate = evaluate
    with pytest.raises(tf.errors.DataLossError):
        train(task)
    assert task.diagnosed == 1
