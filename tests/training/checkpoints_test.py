import keras
import numpy as np
import pytest

from tests.networks import TINY
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime.devices import make_strategy
from tf_student.runtime.errors import InputError
from tf_student.training.checkpoints import Checkpoints


@pytest.fixture
def make_state(one_replica, make_toy_state, toy_train):
    return lambda: make_toy_state(one_replica, toy_train())


def _save_steps(state, directory, steps, keep=3):
    checkpoints = Checkpoints(state, str(directory), keep)
    for step in steps:
        state.step.assign(step)
        checkpoints.save()


def _files(directory):
    return sorted(path.name for path in (directory / "checkpoints").glob("ckpt-*"))


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
def test_a_first_checkpoint_that_a_kill_cut_off_was_never_there(
    make_state, tmp_path, keep, steps, expected
):
    _save_steps(make_state(), tmp_path, steps)
    (tmp_path / "checkpoints" / "checkpoint").unlink()
    index = tmp_path / "checkpoints" / "ckpt-6.index"
    index.write_bytes(index.read_bytes()[:keep])
    assert Checkpoints(make_state(), str(tmp_path), 3).restore() == expected


def test_restores_everything_exactly(make_state, tmp_path):
    state = make_state()
    gradient = np.array([[0.3]], np.float32)
    for _ in range(3):
        state.optimizer.apply([gradient], state.model.trainable_variables)
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
        found = [float(v.numpy().flat[0]) for v in model.variables]
        assert found == [number % 100 for number in range(len(found))]


def test_restores_the_optimizers_moments(make_state, tmp_path):
    state = make_state()
    gradient = np.array([[0.3]], np.float32)
    state.optimizer.apply([gradient], state.model.trainable_variables)
    _save_steps(state, tmp_path, [1])
    fresh = make_state()
    Checkpoints(fresh, str(tmp_path), 3).restore()
    np.testing.assert_allclose(fresh.optimizer._momentums[0].numpy(), 0.03, rtol=1e-6)
    assert int(fresh.optimizer.iterations.numpy()) == 1


def _damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut off":
        path.write_bytes(data[: len(data) // 2])
    else:
        # Every bit of the first values, which are no padding.
        for i in range(8):
            data[i] ^= 0xFF
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["cut off", "bits flipped"])
@pytest.mark.parametrize("suffix", ["data-00000-of-00001", "index"])
def test_damage_names_the_checkpoint(make_state, tmp_path, suffix, how):
    _save_steps(make_state(), tmp_path, [10])
    _damage(tmp_path / "checkpoints" / f"ckpt-10.{suffix}", how)
    with pytest.raises(InputError, match=f"checkpoint {tmp_path}.*ckpt-10 cannot be"):
        Checkpoints(make_state(), str(tmp_path), 3).restore()


@pytest.mark.parametrize("how", ["cut off", "bits flipped"])
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
    # The damaged step is not taken for saved when the run comes to it again.
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


def test_another_number_of_replicas_is_said(
    make_toy_state, toy_train, make_state, tmp_path, caplog
):
    caplog.set_level("INFO", logger="absl")
    _save_steps(make_state(), tmp_path, [10])
    two = make_toy_state(make_strategy(["CPU:0", "CPU:1"]), toy_train())
    Checkpoints(two, str(tmp_path), 3).restore()
    assert "2 replicas go on where 1 stopped." in caplog.text
    assert int(two.replicas.numpy()) == 2
