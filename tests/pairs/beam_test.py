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
