"""Two CPU devices for every test, and no files outside pytest's own folders."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
import tensorflow as tf

_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Trained extractors are cached for this run alone."""
    directory = tmp_path_factory.mktemp("cache")
    os.environ["TF_STUDENT_CACHE"] = str(directory)
    return directory


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
def demo_run(tmp_path_factory, cache):
    """Every command in this process, once for all tests."""
    # Imported here, because tests of single modules do not need it.
    from tests.tiny_run import RUN, TINY, DemoRun
    from tf_student.demo import run_demo

    directory = tmp_path_factory.mktemp("demo_run") / "demo"
    return DemoRun(directory, run_demo(str(directory), preset=TINY, run=RUN))


@pytest.fixture
def copied_pairs(demo_run, tmp_path):
    """A copy of the pairs that a test may damage."""
    return Path(shutil.copytree(demo_run.pairs, tmp_path / "damaged_pairs"))
