"""A few damaged files of each kind; `mutations` as a program tries many more."""

import sys

import pytest

from tests.convert import mutated_sources, mutations
from tf_student.runtime.errors import InputError

COUNTS = {"archive": 60, "stream": 60, "safetensors": 80, "config": 80, "h5": 4}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is Linux'")
@pytest.mark.parametrize("kind", mutations.KINDS)
def test_damaged_files_are_read_or_refused(tmp_path, kind):
    source = mutated_sources.make(kind, tmp_path)
    source.read()
    for seed in range(COUNTS[kind]):
        mutations.check(kind, seed, source)


def test_every_kind_is_damaged(tmp_path):
    """The files reach far: some are refused late, by what their tensors are."""
    source = mutated_sources.make("stream", tmp_path)
    messages = []
    for seed in range(COUNTS["stream"]):
        source.path.write_bytes(mutations.damaged("stream", seed, source))
        try:
            source.read()
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > COUNTS["stream"] // 2
    assert len(set(messages)) > 20
