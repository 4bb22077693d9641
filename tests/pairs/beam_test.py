"""Apache Beam, with its local runner and several processes."""

import functools

import numpy as np
import pytest

from tf_student.runtime.errors import InputError

pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
from tf_student.pairs import beam

PROCESSES = ["direct_running_mode=multi_processing", "direct_num_workers=2"]


def _open(path):
    """Opens a sampler in a worker; appends a letter to a file at each call."""
    with open(path, "a") as file:
        file.write("x")
    return lambda z: np.clip(np.round(z * 40 + 128), 0, 255).astype(np.uint8), 3


@pytest.mark.parametrize("options", [[], PROCESSES], ids=["one", "processes"])
def test_beam_writes_the_bytes_of_one_process(plan, write, contents, tmp_path, options):
    opened = functools.partial(_open, str(tmp_path / "opened"))
    manifest = beam.write_pairs(str(tmp_path / "beam"), plan(), opened, options)
    assert manifest.complete
    assert contents(tmp_path / "beam") == contents(write("one_process"))
    assert 1 <= len((tmp_path / "opened").read_text()) <= 2


def test_beam_generates_missing_shards(plan, write, contents, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write("beam", make_sampler(fail_at=4))
    opened = functools.partial(_open, str(tmp_path / "opened"))
    beam.write_pairs(str(tmp_path / "beam"), plan(), opened, [])
    assert contents(tmp_path / "beam") == contents(write("one_process"))


def test_another_set_is_an_error(plan, write, contents, tmp_path):
    before = contents(write("beam"))
    with pytest.raises(InputError, match="another pair set"):
        beam.write_pairs(str(tmp_path / "beam"), plan(pairs_seed=1), None, [])
    assert contents(tmp_path / "beam") == before


def _fails(path):
    raise RuntimeError("no teacher here")


def test_a_failing_pipeline_is_one_line(plan, tmp_path):
    with pytest.raises(
        InputError, match=r"Apache Beam pipeline failed: .*no teacher here"
    ) as e:
        beam.write_pairs(
            str(tmp_path / "beam"), plan(), functools.partial(_fails, ""), []
        )
    assert "\n" not in str(e.value)


def test_a_wrong_option_is_one_line(plan, tmp_path):
    options = ["direct_num_workers=many"]
    with pytest.raises(InputError, match="Apache Beam pipeline failed"):
        beam.write_pairs(str(tmp_path / "beam"), plan(), None, options)


_PYTHON = """Error processing instruction 1. Original traceback is
Traceback (most recent call last):
  File "/lib/sdk_worker.py", line 300, in _execute
    response = task()
ValueError: no teacher here

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/lib/common.py", line 1500, in process
RuntimeError: no teacher here [while running 'ParDo']
"""
_JAVA = """
java.lang.RuntimeException: Error received from SDK harness for instruction 2
\tat org.apache.beam.runners.FnApiControlClient.onNext(FnApiControlClient.java:180)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.io.IOException: no space
\t... 1 more
"""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no runner", "no runner"),
        ("first\nsecond", "first"),
        (_PYTHON, "ValueError: no teacher here"),
        (
            _JAVA,
            "java.lang.RuntimeException: Error received from SDK harness for "
            "instruction 2",
        ),
        (f"Pipeline failed in state FAILED: {_JAVA.strip()}", None),
        ("at org.apache.A.b(A.java:1)\n... 1 more\nno more workers", "no more workers"),
        ("at the end", "at the end"),
        ("", "RuntimeError"),
        ('  File "a"\n', "RuntimeError"),
    ],
    ids=lambda value: "",
)
def test_reason_is_the_first_line_that_has_one(message, reason):
    expected = reason or message.partition("\n")[0]
    assert beam._reason(RuntimeError(message)) == expected


_DASK = "runner=apache_beam.runners.dask.dask_runner.DaskRunner"


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ([], []),
        (["runner=FlinkRunner", "job_name=dask"], []),
        ([_DASK, "dask_client_address=a:1"], ["dask_partition_size=1"]),
        (["runner=DaskRunner"], ["dask_partition_size=1"]),
        ([_DASK, "dask_partition_size=3"], []),
        ([_DASK, "dask_npartitions=3"], []),
    ],
    ids=lambda value: "",
)
def test_workers_of_dask_get_one_shard_at_a_time(options, added):
    assert beam._completed(options) == options + added
