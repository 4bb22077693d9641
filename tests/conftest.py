"""Two CPU devices for every process, and no files outside pytest's own folders."""

import gc
import os
import pickle
import shutil
import signal
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import filelock
import pytest
import tensorflow as tf

_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)


# Shells start background jobs, and so their children, with an interrupt key that is
# ignored. Tests interrupt their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tracing makes millions of objects that stay.
gc.set_threshold(50_000, 20, 50)

# The longest file, whose process makes the demo first.
_FIRST = "match_distribution_test.py"


def pytest_collection_modifyitems(items):
    """One process makes the demo and the other the chain, so that neither waits.

    The files that need neither come last, because they are short.
    """

    def rank(item):
        fixtures = getattr(item, "fixturenames", ())
        if item.path.name == _FIRST:
            return 0
        return 1 if "chain" in fixtures else 2 if "demo_run" in fixtures else 3

    ranks = {}
    for item in items:
        ranks[item.path] = min(rank(item), ranks.get(item.path, 3))
    items.sort(key=lambda item: item.path, reverse=True)
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that the processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own below the common one.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache(shared):
    """Trained extractors are cached for this run alone."""
    directory = shared / "cache"
    os.environ["TF_STUDENT_CACHE"] = str(directory)
    return directory


@pytest.fixture(scope="module", autouse=True)
def unvisited_by_the_garbage_collector():
    """Objects that outlive a module, mostly graphs, are not visited again and again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_device_by_default():
    """Commands train on one device: a second one doubles the time for tracing."""
    from tf_student.runtime import devices

    visible = tf.config.list_logical_devices
    first = (visible("GPU") or visible("CPU"))[0].name
    with mock.patch.object(devices.make_strategy, "__defaults__", ((first,),)):
        yield


@pytest.fixture
def every_device(monkeypatch):
    """Commands train on both devices in this test, as they do for users."""
    from tf_student.runtime import devices

    monkeypatch.setattr(devices.make_strategy, "__defaults__", (None,))


@pytest.fixture(params=[1, 2], ids=["1-replica", "2-replicas"])
def strategy(request):
    """MirroredStrategy over one and over two CPU devices."""
    from tf_student.runtime import devices

    return devices.make_strategy([f"CPU:{i}" for i in range(request.param)])


@pytest.fixture(scope="session")
def contents():
    """What a directory holds: bytes by path."""

    def read(directory):
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(Path(directory).rglob("*"))
            if path.is_file()
        }

    return read


@pytest.fixture(scope="session")
def once(shared):
    """Calls a function in one process; the others wait, and get its result too."""

    def call(name, function):
        result = shared / f"{name}.pickle"
        with filelock.FileLock(shared / f"{name}.lock"):
            if not result.exists():
                result.write_bytes(pickle.dumps(function()))
        return pickle.loads(result.read_bytes())

    return call


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory, shared, once):
    """Every command, once for all tests; each process has a copy of what it wrote."""
    # Imported here, because tests of single modules do not need it.
    from tests.tiny_run import RUN, TINY, DemoRun
    from tf_student.demo import run_demo

    original = shared / "demo"
    evaluation = once("demo", lambda: run_demo(str(original), preset=TINY, run=RUN))
    directory = tmp_path_factory.mktemp("demo_run") / "demo"
    shutil.copytree(original, directory)
    return DemoRun(directory, evaluation)


@pytest.fixture
def copied_pairs(demo_run, tmp_path):
    """A copy of the pairs that a test may damage."""
    return Path(shutil.copytree(demo_run.pairs, tmp_path / "damaged_pairs"))
