"""Checkpoints on a disk that is full, or as good as full."""

import os
import resource

import pytest
import tensorflow as tf

from tf_student.runtime.errors import first_line
from tf_student.training.checkpoints import Checkpoints


@pytest.fixture
def small_files():
    """Limits the size of files that this process writes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Neither the data nor the index fits, or only the data do.
@pytest.mark.parametrize("size", [0, 20, 100])
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(
    one_replica, make_toy_state, toy_train, tmp_path, small_files, size
):
    state = make_toy_state(one_replica, toy_train())
    checkpoints = Checkpoints(state, str(tmp_path), 3)
    state.step.assign(10)
    checkpoints.save()
    before = sorted(os.listdir(tmp_path / "checkpoints"))
    state.step.assign(20)
    small_files(size)
    with pytest.raises(tf.errors.OpError) as error:
        checkpoints.save()
    small_files(2**30)
    line = first_line(error.value)
    assert line.endswith("; File too large") and "{{" not in line, line
    assert sorted(os.listdir(tmp_path / "checkpoints")) == before
    fresh = make_toy_state(one_replica, toy_train())
    assert Checkpoints(fresh, str(tmp_path), 3).restore() == 10
    checkpoints.save()
    assert Checkpoints(fresh, str(tmp_path), 3).restore() == 20
