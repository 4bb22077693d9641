"""SIGTERM during an evaluation: saved within a batch, and evaluated again."""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import ToyTask
from tf_student.runtime.errors import DivergedError, Preempted
from tf_student.training import loop
from tf_student.training.checkpoints import Checkpoints, last_weights
from tf_student.training.reporter import read_metrics
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import LogConfig

_LOG = LogConfig(log_every=5, checkpoint_every=5, checkpoints=3, evaluate_every=4)
_STEPS = 14


@dataclasses.dataclass
class SlowTask(ToyTask):
    """Keeps the weights of the step that is nearest to `best_step`.

    An evaluation has many batches, of which each takes a tenth of a second when
    `interrupt` is its step. Then SIGTERM arrives during the third.
    """

    directory: str = ""
    interrupt: int = -1
    best_step: int = 9

    def evaluate(self, state, reporter):
        step = int(state.step.numpy())
        super().evaluate(state, reporter)
        if step == self.interrupt:
            threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGTERM)).start()
            for _ in range(600):
                time.sleep(0.1)
        score = float(abs(step - self.best_step))
        reporter.scalars(step, {"score": score})
        if score < float(state.best.numpy()):
            state.best.assign(score)
            weights = [v.numpy() for v in state.ema.weights]
            np.save(Path(self.directory, "kept.npy"), np.concatenate(weights, None))


@pytest.fixture
def run(one_replica, make_toy_state, toy_train):
    """Trains in a directory, as a new process would."""

    def train(directory, *, log=_LOG, steps=_STEPS, kind=SlowTask, **options):
        task = kind(directory=str(directory), **options)
        state = make_toy_state(one_replica, toy_train(steps=steps))
        setup = TrainRun(str(directory), one_replica, toy_train(steps=steps), log)
        try:
            loop.train(task, state, setup)
        except Preempted as error:
            return task, str(error)
        return task, ""

    return train


def _left(directory):
    """What a run left: files, checkpointed values, and metrics without times."""
    found = {}
    for path in sorted(Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        if "logs" in name or not path.is_file():
            continue
        found[name] = path.read_bytes() if path.suffix == ".npy" else None
        if path.suffix == ".index":
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            for key in reader.get_variable_to_shape_map():
                if "GRAPH" not in key and "save_counter" not in key:
                    found[f"{name} {key}"] = reader.get_tensor(key).tobytes()
    timeless = ("step", "loss", "score", "ema_distance")
    found["metrics"] = [
        {k: line[k] for k in timeless if k in line}
        for line in read_metrics(str(directory))
    ]
    return found


_UNDISTURBED = {}


@pytest.fixture
def undisturbed(run, tmp_path):
    """What an undisturbed run leaves."""
    if not _UNDISTURBED:
        run(tmp_path / "undisturbed")
        _UNDISTURBED.update(_left(tmp_path / "undisturbed"))
    return _UNDISTURBED


# Of these steps, only 8 improves on the one before, 4; and 14 is the last.
@pytest.mark.parametrize("step", [4, 8, 12, 14])
def test_an_interrupted_evaluation_is_repeated(run, tmp_path, undisturbed, step):
    begun = time.monotonic()
    first, message = run(tmp_path / "a", interrupt=step)
    assert time.monotonic() - begun < 20
    assert message == f"Saved step {step} of {_STEPS}."
    assert (tmp_path / f"a/checkpoints/unevaluated/ckpt-{step}.index").exists()
    second, message = run(tmp_path / "a")
    assert message == ""
    assert second.starts == ([step * 4] if step < _STEPS else [])
    assert (first.evaluated[-1], second.evaluated[0]) == (step, step)
    assert _left(tmp_path / "a") == undisturbed


def test_an_evaluation_that_is_interrupted_again(run, tmp_path, undisturbed):
    for _ in range(2):
        _, message = run(tmp_path / "a", interrupt=8)
        assert message == f"Saved step 8 of {_STEPS}."
    run(tmp_path / "a")
    assert _left(tmp_path / "a") == undisturbed


def test_a_kill_after_the_repeated_evaluation(run, tmp_path, undisturbed):
    class KilledError(Exception):
        pass

    class Task(SlowTask):
        # Step 8 has improved `best` before, and is not saved yet.
        def phases(self, state, config):
            raise KilledError

    run(tmp_path / "a", interrupt=8)
    for _ in range(2):
        with pytest.raises(KilledError):
            run(tmp_path / "a", kind=Task)
    run(tmp_path / "a")
    assert _left(tmp_path / "a") == undisturbed


def test_sigterm_before_an_evaluation_skips_it(run, tmp_path, undisturbed, monkeypatch):
    report = loop.Results.report

    def signalled(self, step):
        report(self, step)
        if step == 8:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.Results, "report", signalled)
    task, message = run(tmp_path / "a")
    assert (task.evaluated, message) == ([4], f"Saved step 8 of {_STEPS}.")
    monkeypatch.undo()
    run(tmp_path / "a")
    assert _left(tmp_path / "a") == undisturbed


def test_an_exception_that_tensorflow_has_replaced(run, tmp_path, undisturbed):
    class Task(SlowTask):
        def evaluate(self, state, reporter):
            try:
                super().evaluate(state, reporter)
            except BaseException as error:
                raise tf.errors.UnknownError(None, None, "in a callback") from error

    _, message = run(tmp_path / "a", kind=Task, interrupt=8)
    assert message == f"Saved step 8 of {_STEPS}."
    run(tmp_path / "a")
    assert _left(tmp_path / "a") == undisturbed


@pytest.mark.parametrize("error", [KeyboardInterrupt, DivergedError])
def test_other_exceptions_save_nothing(run, tmp_path, error):
    class Task(SlowTask):
        def evaluate(self, state, reporter):
            raise error

    with pytest.raises(error):
        run(tmp_path / "a", kind=Task)
    assert not (tmp_path / "a/checkpoints").exists()


@pytest.fixture
def make_state(one_replica, make_toy_state, toy_train):
    return lambda: make_toy_state(one_replica, toy_train())


def _interim(directory):
    return sorted(p.name for p in directory.glob("checkpoints/unevaluated/*.index"))


def _saved(make_state, directory, step, weight, save):
    """Saves a step, and returns the checkpoints of a new process."""
    state = make_state()
    state.step.assign(step)
    state.model.trainable_variables[0].assign([[weight]])
    save(Checkpoints(state, str(directory), 2))
    fresh = make_state()
    return fresh, Checkpoints(fresh, str(directory), 2)


def test_a_checkpoint_of_an_interrupted_evaluation(make_state, tmp_path):
    _saved(make_state, tmp_path, 4, 0.25, Checkpoints.save)
    state, checkpoints = _saved(
        make_state, tmp_path, 6, 0.75, Checkpoints.save_unevaluated
    )
    assert checkpoints.restore() == 6 and checkpoints.unevaluated
    assert state.model.trainable_variables[0].numpy() == 0.75
    last_weights(str(tmp_path), state.model)
    assert state.model.trainable_variables[0].numpy() == 0.75
    assert _interim(tmp_path) == ["ckpt-6.index"]
    checkpoints.save()
    assert not checkpoints.unevaluated and _interim(tmp_path) == []
    assert Checkpoints(make_state(), str(tmp_path), 2).restore() == 6


def test_one_that_a_kill_left_beside_its_successor_is_removed(make_state, tmp_path):
    _saved(make_state, tmp_path, 6, 0.75, Checkpoints.save_unevaluated)
    state, checkpoints = _saved(make_state, tmp_path, 6, 0.25, Checkpoints.save)
    assert _interim(tmp_path) == ["ckpt-6.index"]
    assert checkpoints.restore() == 6 and not checkpoints.unevaluated
    assert state.model.trainable_variables[0].numpy() == 0.25
    assert _interim(tmp_path) == []


def test_a_damaged_one_falls_back_to_the_one_before(make_state, tmp_path):
    _saved(make_state, tmp_path, 4, 0.25, Checkpoints.save)
    state, checkpoints = _saved(
        make_state, tmp_path, 6, 0.75, Checkpoints.save_unevaluated
    )
    (data,) = tmp_path.glob("checkpoints/unevaluated/*.data*")
    data.write_bytes(data.read_bytes()[:-8])
    assert checkpoints.restore() == 4 and not checkpoints.unevaluated
    assert state.model.trainable_variables[0].numpy() == 0.25


def test_an_interim_state_comes_before_older_ones(make_state, tmp_path):
    """A newer checkpoint was damaged, so the run went on from an older one."""
    _saved(make_state, tmp_path, 4, 0.25, Checkpoints.save)
    _saved(make_state, tmp_path, 8, 0.5, Checkpoints.save)
    (data,) = tmp_path.glob("checkpoints/ckpt-8.data*")
    data.write_bytes(b"")
    _, checkpoints = _saved(make_state, tmp_path, 6, 0.75, Checkpoints.save_unevaluated)
    assert checkpoints.restore() == 6 and checkpoints.unevaluated
