"""Pairs and training in two containers of the image of `deploy/Dockerfile`.

`make engines` runs this; it needs Docker or Podman, and the image that `make image`
makes.
"""

import json

import numpy as np
import pytest

from tests.engines import containers as engine
from tests.engines.pairs_command import arguments, end, start_pairs, wait_for
from tf_student.training.reporter import read_metrics


@pytest.fixture(scope="module")
def containers():
    with engine.running() as running:
        yield running


@pytest.fixture
def pairs(teacher, tmp_path):
    """Pairs that one process made without a container."""
    directory = tmp_path / "expected"
    end(start_pairs(teacher, directory))
    return directory


def test_killed_container_leaves_the_same_bytes(
    containers, teacher, pairs, contents, tmp_path
):
    directory = tmp_path / "pairs"

    def start(index):
        return containers.start(
            index,
            tmp_path,
            *arguments(teacher, directory),
            f"--worker_index={index}",
            "--num_workers=2",
        )

    first, second = start(0), start(1)

    def shards(index):
        names = [path.name for path in directory.glob("pairs-train.tfrecord-*-of-*")]
        return [name for name in names if int(name.split("-")[2]) % 2 == index]

    wait_for(lambda: shards(1))
    containers.kill(second)
    assert containers.code(second) == 137
    assert containers.code(first) == 0, containers.log(first)
    assert contents(directory) != contents(pairs)
    again = start(1)
    assert containers.code(again) == 0, containers.log(again)
    assert contents(directory) == contents(pairs)


def _distil(containers, index, folder, directory, teacher, pairs, **environment):
    return containers.start(
        index,
        folder,
        *("distill", "--preset=digits", f"--teacher_dir={teacher}"),
        *(f"--pairs_dir={pairs}", f"--student_dir={directory}"),
        *("--steps=6", "--batch_size=16", "--warmup_steps=0", "--decay_steps=0"),
        *("--adam_epsilon=1e-3", "--log_every=1"),
        **environment,
    )


def _losses(directory):
    return [line["loss"] for line in read_metrics(str(directory)) if "loss" in line]


def test_two_containers_train_together(containers, teacher, pairs, tmp_path):
    addresses = [f"{containers.address(index)}:2222" for index in range(2)]
    names = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        inputs = (containers, index, tmp_path, tmp_path / "two", teacher, pairs)
        names.append(_distil(*inputs, TF_CONFIG=config))
    for name in names:
        assert containers.code(name) == 0, containers.log(name)
    alone = _distil(containers, 0, tmp_path, tmp_path / "one", teacher, pairs)
    assert containers.code(alone) == 0, containers.log(alone)
    one, two = _losses(tmp_path / "one"), _losses(tmp_path / "two")
    assert len(one) == len(two) == 6
    np.testing.assert_allclose(two, one, rtol=1e-3)
