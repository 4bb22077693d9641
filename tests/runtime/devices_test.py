import os

import numpy as np
import pytest
import tensorflow as tf

from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.training.batches import distribute


def _first_two_batches(strategy, batch_size):
    batches = iter(
        distribute(strategy, lambda part: tf.data.Dataset.range(100), batch_size)
    )
    return [
        np.concatenate(strategy.experimental_local_results(next(batches))).tolist()
        for _ in range(2)
    ]


def test_replicas_together_get_consecutive_examples(strategy):
    assert _first_two_batches(strategy, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_refuses_a_batch_that_the_replicas_do_not_divide():
    two = devices.make_strategy(["CPU:0", "CPU:1"])
    with pytest.raises(InputError, match="batch_size=3, replicas=2"):
        distribute(two, lambda part: tf.data.Dataset.range(9), 3)


def test_default_strategy_takes_every_visible_device():
    gpus = tf.config.list_logical_devices("GPU")
    visible = gpus or tf.config.list_logical_devices("CPU")
    assert devices.make_strategy().num_replicas_in_sync == len(visible)


@pytest.mark.parametrize("devices", [("CPU:0", "CPU:1"), ["/device:CPU:0", "CPU:1"]])
def test_same_devices_give_the_same_strategy(devices):
    first = devices.make_strategy(["CPU:0", "CPU:1"])
    assert devices.make_strategy(devices) is first


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
def test_xla_is_on_when_asked_for_or_on_gpus(monkeypatch, mode, gpus, expected):
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
def test_a_tf_config_that_makes_no_sense_is_refused(monkeypatch, text):
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
def test_one_worker_trains_alone(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    strategy = devices.make_workers_strategy()
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert devices.is_chief(strategy)
    assert not devices.has_other_workers(strategy)
    assert devices.from_chief(strategy, 7) == 7


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": 5}'])
def test_devices_of_this_machine_are_had_whatever_tf_config_says(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert devices.make_strategy(["CPU:0"]).num_replicas_in_sync == 1
    assert os.environ["TF_CONFIG"] == text


def test_parts_must_divide_a_replicas_share(strategy):
    with pytest.raises(InputError, match="accumulate=3, batch_size=4"):
        distribute(strategy, tf.data.Dataset.range, 4, parts=3)
