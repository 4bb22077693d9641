import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime.devices import make_strategy
from tf_student.runtime.errors import InputError
from tf_student.training.checkpoints import Checkpoints, last_weights


@pytest.fixture
def make_state(one_replica, make_toy_state, toy_train):
    return lambda: make_toy_state(one_replica, toy_train())


def _save_steps(state, directory, steps, keep=3):
    checkpoints = Checkpoints(state, str(directory), keep)
    for step in steps:
        state.step.assign(step)
        checkpoints.save()


def _descend(strategy, state):
    """Takes a step of the optimizer with a gradient of 0.3."""
    variables = state.model.trainable_variables
    strategy.run(lambda: state.optimizer.apply([tf.constant([[0.3]])], variables))


def _files(directory):
    return sorted(path.name for path in (directory / "checkpoints").glob("ckpt-*"))


def test_a_run_of_a_checkpoint_manager_continues(make_state, tmp_path):
    """As version 0.1 wrote checkpoints."""
    state = make_state()
    state.model.trainable_variables[0].assign([[0.25]])
    directory = str(tmp_path / "checkpoints")
    values = tf.train.Checkpoint(**state.trackables())
    manager = tf.train.CheckpointManager(values, directory, max_to_keep=3)
    for step in (10, 20):
        state.step.assign(step)
        manager.save(checkpoint_number=step)
    fresh = make_state()
    checkpoints = Checkpoints(fresh, str(tmp_path), 2)
    assert checkpoints.restore() == 20
    assert fresh.model.trainable_variables[0].numpy() == 0.25
    fresh.step.assign(30)
    checkpoints.save()
    # And the other way round.
    again = make_state()
    values = tf.train.Checkpoint(**again.trackables())
    manager = tf.train.CheckpointManager(values, directory, max_to_keep=3)
    assert [path[-2:] for path in manager.checkpoints] == ["20", "30"]
    values.restore(manager.latest_checkpoint).assert_consumed()
    assert int(again.step.numpy()) == 30
    assert int(values.save_counter.numpy()) == 3


def test_a_kill_leaves_nothing_after_the_next_run(make_state, tmp_path):
    _save_steps(make_state(), tmp_path, [10])
    (tmp_path / "checkpoints" / "ckpt-20_temp").mkdir()
    Checkpoints(make_state(), str(tmp_path), 3).restore()
    assert not (tmp_path / "checkpoints" / "ckpt-20_temp").exists()


@pytest.mark.parametrize("name", ["exp[1]", "a\\b"])
def test_last_weights_of_a_directory_that_is_a_pattern(make_state, tmp_path, name):
    with pytest.raises(InputError, match="TensorFlow reads as a pattern"):
        last_weights(str(tmp_path / name), make_state().model)


def test_without_a_checkpoint_no_step_is_done(make_state, tmp_path):
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == 0


def test_keeps_the_last_few(make_state, tmp_path):
    _save_steps(make_state(), tmp_path, [10, 20, 30, 40], keep=2)
    assert _files(tmp_path) == [
        "ckpt-30.data-00000-of-00001",
        "ckpt-30.index",
        "ckpt-40.data-00000-of-00001",
        "ckpt-40.index",
    ]


def test_keeps_the_last_few_across_runs(make_state, tmp_path):
    _save_steps(make_state(), tmp_path, [10, 20], keep=2)
    _save_steps(make_state(), tmp_path, [30], keep=2)
    assert [name for name in _files(tmp_path) if name.endswith("index")] == [
        "ckpt-20.index",
        "ckpt-30.index",
    ]


def test_does_not_write_a_step_twice(make_state, tmp_path):
    state = make_state()
    _save_steps(state, tmp_path, [10])
    data = tmp_path / "checkpoints" / "ckpt-10.data-00000-of-00001"
    before = data.stat().st_mtime_ns
    checkpoints = Checkpoints(state, str(tmp_path), 3)
    checkpoints.restore()
    checkpoints.save()
    checkpoints.save()
    assert data.stat().st_mtime_ns == before


def test_restores_the_last_step(make_state, tmp_path):
    _save_steps(make_state(), tmp_path, [10, 20, 9])
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == 9


@pytest.mark.parametrize("text", [None, "garbage"])
def test_restores_without_the_list_of_checkpoints(make_state, tmp_path, text):
    _save_steps(make_state(), tmp_path, [9, 10])
    index = tmp_path / "checkpoints" / "checkpoint"
    index.unlink() if text is None else index.write_text(text)
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == 10


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
@pytest.mark.parametrize(("steps", "expected"), [([6], 0), ([3, 6], 3)])
def test_first_checkpoint_truncated_by_a_kill_is_ignored(
    make_state, tmp_path, keep, steps, expected
):
    _save_steps(make_state(), tmp_path, steps)
    (tmp_path / "checkpoints" / "checkpoint").unlink()
    index = tmp_path / "checkpoints" / "ckpt-6.index"
    index.write_bytes(index.read_bytes()[:keep])
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == expected


def test_restores_everything_exactly(one_replica, make_state, tmp_path):
    state = make_state()
    for _ in range(3):
        _descend(one_replica, state)
    state.ema.trainable_variables[0].assign([[0.123456789]])
    state.best.assign(0.7654321)
    _save_steps(state, tmp_path, [3])
    fresh = make_state()
    Checkpoints(fresh, str(tmp_path), 3).restore()
    for name in ("model", "ema", "optimizer"):
        old, new = getattr(state, name).variables, getattr(fresh, name).variables
        for before, after in zip(old, new, strict=True):
            np.testing.assert_array_equal(before.numpy(), after.numpy(), name)
    assert (int(fresh.step.numpy()), float(fresh.best.numpy())) == (
        3,
        np.float32(0.7654321),
    )


def test_restores_every_weight_of_a_student(
    strategy, make_toy_state, toy_train, tmp_path
):
    # Its blocks are lists of lists of layers.
    def make_student():
        return Student(UNet(TINY))

    state = make_toy_state(strategy, toy_train(), make_student)
    for model in (state.model, state.ema, state.optimizer):
        for number, variable in enumerate(model.variables):
            variable.assign(np.full(variable.shape, number % 100))
    _save_steps(state, tmp_path, [3])
    fresh = make_toy_state(strategy, toy_train(), make_student)
    Checkpoints(fresh, str(tmp_path), 3).restore()
    for model in (fresh.model, fresh.ema, fresh.optimizer):
        values = [float(v.numpy().flat[0]) for v in model.variables]
        assert values == [number % 100 for number in range(len(values))]


def test_restores_the_optimizers_moments(one_replica, make_state, tmp_path):
    state = make_state()
    _descend(one_replica, state)
    _save_steps(state, tmp_path, [1])
    fresh = make_state()
    Checkpoints(fresh, str(tmp_path), 3).restore()
    np.testing.assert_allclose(
        fresh.optimizer.first_moments[0].numpy(), 0.03, rtol=1e-6
    )
    assert int(fresh.optimizer.iterations.numpy()) == 1


def _damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        # Flips every bit of the first values, which are not padding.
        for i in range(8):
            data[i] ^= 0xFF
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "bits flipped"])
@pytest.mark.parametrize("suffix", ["data-00000-of-00001", "index"])
def test_damage_names_the_checkpoint(make_state, tmp_path, suffix, how):
    _save_steps(make_state(), tmp_path, [10])
    _damage(tmp_path / "checkpoints" / f"ckpt-10.{suffix}", how)
    with pytest.raises(InputError, match=f"checkpoint {tmp_path}.*ckpt-10 cannot be"):
        Checkpoints(make_state(), str(tmp_path), 3).restore()


@pytest.mark.parametrize("how", ["truncated", "bits flipped"])
@pytest.mark.parametrize("suffix", ["data-00000-of-00001", "index"])
def test_falls_back_to_the_one_before_and_warns(
    make_state, tmp_path, suffix, how, caplog
):
    state = make_state()
    _save_steps(state, tmp_path, [10])
    state.model.trainable_variables[0].assign([[0.25]])
    _save_steps(state, tmp_path, [20])
    _damage(tmp_path / "checkpoints" / f"ckpt-20.{suffix}", how)
    fresh = make_state()
    checkpoints = Checkpoints(fresh, str(tmp_path), 3)
    assert checkpoints.restore() == 10
    assert "ckpt-20 cannot be restored" in caplog.text
    np.testing.assert_array_equal(fresh.model.trainable_variables[0], [[0.5]])
    # The damaged step is saved when the run reaches it again.
    fresh.step.assign(20)
    checkpoints.save()
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == 20


def test_another_network_names_the_checkpoint(
    one_replica, make_toy_state, toy_train, make_state, tmp_path
):
    _save_steps(make_state(), tmp_path, [10])

    def wide():
        return keras.Sequential([keras.Input([1]), keras.layers.Dense(2)])

    other = make_toy_state(one_replica, toy_train(), wide)
    with pytest.raises(InputError, match="ckpt-10 cannot be restored"):
        Checkpoints(other, str(tmp_path), 3).restore()


def test_another_number_of_replicas_restores(
    strategy, make_toy_state, toy_train, make_state, tmp_path
):
    state = make_state()
    state.model.trainable_variables[0].assign([[0.25]])
    _save_steps(state, tmp_path, [10])
    other = make_toy_state(strategy, toy_train())
    assert Checkpoints(other, str(tmp_path), 3).restore() == 10
    assert other.model.trainable_variables[0].numpy() == 0.25


def test_another_number_of_replicas_is_logged(
    make_toy_state, toy_train, make_state, tmp_path, caplog
):
    caplog.set_level("INFO", logger="absl")
    _save_steps(make_state(), tmp_path, [10])
    two = make_toy_state(make_strategy(["CPU:0", "CPU:1"]), toy_train())
    Checkpoints(two, str(tmp_path), 3).restore()
    assert "Resuming with 2 replicas; the checkpoint was written by 1." in caplog.text
    assert int(two.replicas.numpy()) == 2


def test_optimizer_variables_are_stored_in_the_order_of_keras_adam(
    one_replica, make_state, tmp_path
):
    # Checkpoints of version 0.1 hold: iteration, then both moments of each weight.
    state = make_state()
    for _ in range(2):
        _descend(one_replica, state)
    _save_steps(state, tmp_path, [2])
    stored = tf.train.load_checkpoint(str(tmp_path / "checkpoints"))
    names = [f"optimizer/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(3)]
    iteration, first, second = map(stored.get_tensor, names)
    assert iteration == 2
    # (1 - 0.9) (1 + 0.9) 0.3 and (1 - 0.999) (1 + 0.999) 0.3^2.
    np.testing.assert_allclose(first, [[0.057]], rtol=1e-5)
    np.testing.assert_allclose(second, [[1.7991e-4]], rtol=1e-3)
    assert not stored.has_tensor("optimizer/3/.ATTRIBUTES/VARIABLE_VALUE")


def test_last_weights_are_the_trained_ones(make_state, tmp_path):
    state = make_state()
    state.model.trainable_variables[0].assign([[0.25]])
    state.ema.trainable_variables[0].assign([[0.75]])
    _save_steps(state, tmp_path, [3])
    model = make_state().model
    last_weights(str(tmp_path), model)
    np.testing.assert_array_equal(model.trainable_variables[0], [[0.25]])


def test_last_weights_need_a_checkpoint(make_state, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoints"):
        last_weights(str(tmp_path), make_state().model)
