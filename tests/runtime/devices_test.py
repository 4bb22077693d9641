import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def test_default_strategy_takes_every_visible_device(every_device):
    gpus = tf.config.list_logical_devices("GPU")
    visible = gpus or tf.config.list_logical_devices("CPU")
    assert devices.make_strategy().num_replicas_in_sync == len(visible)


@pytest.mark.parametrize("names", [("CPU:0", "CPU:1"), ["/device:CPU:0", "CPU:1"]])
def test_same_devices_give_the_same_strategy(names):
    first = devices.make_strategy(["CPU:0", "CPU:1"])
    assert devices.make_strategy(names) is first


def test_default_devices_by_name_give_the_same_strategy():
    first = devices.make_strategy()
    named = devices.make_strategy(first.extended.worker_devices)
    assert named is first


def test_devices_can_be_named():
    strategy = devices.make_strategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2


@pytest.mark.parametrize(
    ("mode", "gpus", "expected"),
    [
        ("on", [], True),
        ("on", ["GPU:0"], True),
        ("off", [], False),
        ("off", ["GPU:0"], False),
        ("auto", [], False),
        ("auto", ["GPU:0"], True),
    ],
)
def test_xla_is_on_if_requested_or_on_gpus(monkeypatch, mode, gpus, expected):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    assert devices.use_xla(mode) is expected


@pytest.mark.parametrize(
    ("dtype", "policy"),
    [
        ("float32", "float32"),
        ("bfloat16", "mixed_bfloat16"),
        ("float16", "mixed_float16"),
    ],
)
def test_policy_keeps_float32_weights(dtype, policy):
    assert devices.policy(dtype) == policy


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        "null",
        '{"cluster": 5}',
        '{"cluster": {"worker": "a:1"}}',
        '{"cluster": {"worker": ["a:1", 5]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": "worker"}',
    ],
)
def test_an_invalid_tf_config_is_an_error(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="`TF_CONFIG` must be JSON"):
        devices.make_workers_strategy()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_one_worker_needs_no_others(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    strategy = devices.make_workers_strategy()
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert devices.is_chief(strategy)
    assert not devices.has_other_workers(strategy)
    assert devices.from_chief(strategy, 7) == 7


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": 5}'])
def test_the_devices_of_this_machine_do_not_depend_on_tf_config(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert devices.make_strategy(["CPU:0"]).num_replicas_in_sync == 1
    assert os.environ["TF_CONFIG"] == text


def test_workers_are_counted_in_all_jobs_that_train(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    assert devices.workers_in_environment() == 3


def test_no_workers_without_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert devices.workers_in_environment() == 0


@pytest.fixture
def mode():
    """Restores the selection of kernels."""
    before = ops.get_mode()
    yield
    ops.set_mode(before)


def test_open_devices_returns_a_strategy_over_all_devices(mode):
    assert devices.open_devices(RunConfig()) is devices.make_strategy()


@pytest.mark.parametrize("fused", ["off", "auto"])
def test_open_devices_selects_the_kernels(mode, fused):
    devices.open_devices(RunConfig(fused=fused))
    assert ops.get_mode() == fused


def test_kernels_that_were_not_built_are_an_error(mode, monkeypatch):
    monkeypatch.setattr(ops, "library_loaded", lambda: False)
    with pytest.raises(InputError, match=r"^`fused`: mode='on' needs"):
        devices.open_devices(RunConfig(fused="on"))


def test_open_devices_seeds_the_initial_weights(mode):
    def drawn(seed):
        devices.open_devices(RunConfig(), seed)
        return keras.random.normal([4]).numpy().tolist(), np.random.random()

    assert drawn(7) == drawn(7) == drawn(7 + 2**32)
    assert drawn(7) != drawn(8)


def test_open_devices_without_a_seed_keeps_the_random_state(mode):
    keras.utils.set_random_seed(1)
    expected = np.random.random(), keras.random.normal([4]).numpy().tolist()
    keras.utils.set_random_seed(1)
    devices.open_devices(RunConfig())
    assert (np.random.random(), keras.random.normal([4]).numpy().tolist()) == expected


@pytest.mark.parametrize("deterministic", [False, True])
def test_open_devices_enables_deterministic_kernels(mode, monkeypatch, deterministic):
    calls = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: calls.append(1)
    )
    devices.open_devices(RunConfig(deterministic=deterministic))
    assert bool(calls) == deterministic


@pytest.mark.parametrize(("text", "asked"), [("{", False), ("{}", True), ("", True)])
def test_open_devices_reads_tf_config_only_for_workers(mode, monkeypatch, text, asked):
    monkeypatch.setenv("TF_CONFIG", text)
    strategy = devices.open_devices(RunConfig(), workers=asked)
    assert strategy is devices.make_strategy()


def test_open_devices_for_workers_needs_a_valid_tf_config(mode, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(InputError, match="`TF_CONFIG` must be JSON"):
        devices.open_devices(RunConfig(), workers=True)


@pytest.mark.parametrize(
    ("count", "one", "two"),
    [(1, 1, 1), (2, 2, 1), (7, 7, 4), (8, 8, 4), (100, 10, 10), (0, 1, 1)],
)
def test_a_batch_is_no_larger_than_the_share_of_a_device(strategy, count, one, two):
    run = devices.for_count(RunConfig(device_batch=10, xla="on"), count, strategy)
    expected = one if strategy.num_replicas_in_sync == 1 else two
    assert run == RunConfig(device_batch=expected, xla="on")
