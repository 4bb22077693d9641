import os
import shutil
from pathlib import Path

import pytest

from tf_student.pairs import shard_files
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError

TRAIN = "pairs-train.tfrecord-{:05d}-of-00003"


@pytest.fixture
def shards(write):
    """The directory of a set, and its first two shards with their paths."""
    directory = write()
    manifest = PairSet(directory).manifest
    return directory, [
        (os.path.join(directory, s.name), s) for s in manifest.shards[:2]
    ]


def test_a_shard_holds_its_own_pairs(shards):
    (first, shard), (second, other) = shards[1]
    assert shard_files.is_whole(first, shard) and shard_files.is_whole(second, other)
    assert not shard_files.is_whole(first, other)
    assert shard_files.first_index(second) == other.first_index


@pytest.mark.parametrize("kept", [0, 0.3, 0.5, 0.75, -1])
def test_a_part_of_a_shard_is_not_whole(shards, kept):
    path, shard = shards[1][0]
    data = Path(path).read_bytes()
    # Three quarters are three of the four records.
    Path(path).write_bytes(data[: int(kept * len(data)) if kept >= 0 else kept])
    assert not shard_files.is_whole(path, shard)


def test_more_than_a_shard_is_not_one(shards):
    (path, shard), (other, _) = shards[1]
    Path(path).write_bytes(Path(path).read_bytes() + Path(other).read_bytes())
    assert not shard_files.is_whole(path, shard)


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 100, b"\0" * 100])
def test_bytes_that_are_no_record_have_no_index(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    assert shard_files.first_index(str(tmp_path / "file")) is None


def test_swapped_and_copied_shards_are_refused(shards):
    directory, ((first, _), (second, _)) = shards
    # Both have the same size.
    os.rename(first, f"{first}.kept")
    os.rename(second, first)
    os.rename(f"{first}.kept", second)
    with pytest.raises(InputError, match=r"of-00003 holds other pairs.*--repair"):
        PairSet(directory)
    shutil.copy(first, second)
    with pytest.raises(InputError, match=r"00000-of-00003 holds other pairs"):
        PairSet(directory)
    shutil.copy(second, first)
    with pytest.raises(InputError, match=r"Expected: the index 0 first, received: 4"):
        PairSet(directory)
