import os

import pytest
import tensorflow as tf

from tf_student.training.checkpoint_files import CheckpointFiles


@pytest.fixture
def write(tmp_path):
    """Writes small checkpoints and returns their directory."""

    def run(*steps, keep=3, name="checkpoints"):
        directory = tmp_path / name
        files = CheckpointFiles(str(directory))
        for step in steps:
            tf.train.Checkpoint(v=tf.Variable(step)).write(files.path(step))
            files.keep(step, keep)
        return directory

    return run


def _steps(directory):
    paths = CheckpointFiles(str(directory)).newest_first()
    assert all(os.path.dirname(path) == str(directory) for path in paths)
    return [int(path.rpartition("-")[2]) for path in paths]


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_missing_directory_has_none(tmp_path):
    assert CheckpointFiles(str(tmp_path / "absent")).newest_first() == []


def test_the_last_written_one_is_first(write):
    assert _steps(write(10, 20, 15)) == [15, 20, 10]


def test_the_list_is_the_one_of_tensorflow(write):
    directory = write(10, 20, 30, keep=2)
    state = tf.train.get_checkpoint_state(str(directory))
    expected = [str(directory / "ckpt-20"), str(directory / "ckpt-30")]
    assert list(state.all_model_checkpoint_paths) == expected
    assert tf.train.latest_checkpoint(str(directory)) == expected[-1]


def test_the_list_of_a_checkpoint_manager_is_read(tmp_path):
    value = tf.train.Checkpoint(v=tf.Variable(1))
    manager = tf.train.CheckpointManager(value, str(tmp_path), max_to_keep=3)
    for step in (10, 20, 15):
        manager.save(checkpoint_number=step)
    assert _steps(tmp_path) == [15, 20, 10]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 200,
        b"\xff\xfe\x80 garbage",
        b'model_checkpoint_path: "ckpt-',
        b'all_model_checkpoint_paths: "ckpt-9999999999999999999999"\n',
        b'all_model_checkpoint_paths: "ckpt-10"\nall_model_check',
        None,
    ],
)
def test_whole_checkpoints_are_found_without_a_whole_list(write, content):
    directory = write(10, 20, 30)
    path = directory / "checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    assert _steps(directory) == [30, 20, 10]


def test_names_in_the_list_are_only_those_of_the_directory(write, tmp_path):
    other = write(7, name="other")
    directory = write(10, 20)
    (directory / "checkpoint").write_text(
        "".join(
            f'all_model_checkpoint_paths: "{path}"\n'
            for path in (other / "ckpt-7", "../other/ckpt-7", "ckpt-20", "/x/ckpt-10")
        )
    )
    before = _names(other)
    assert _steps(directory) == [10, 20]
    write(30, keep=1)
    assert _steps(directory) == [30]
    assert _names(other) == before


def test_the_oldest_are_removed_and_nothing_else(write):
    directory = write(10, 20)
    strangers = ["ckpt-10.txt", "ckpt-1", "notes", "ckpt-x.index", "model-10.index"]
    for name in strangers:
        (directory / name).write_text("the user's")
    write(30, 40, keep=2)
    assert [name for name in _names(directory) if name not in strangers] == [
        "checkpoint",
        "ckpt-30.data-00000-of-00001",
        "ckpt-30.index",
        "ckpt-40.data-00000-of-00001",
        "ckpt-40.index",
    ]
    assert set(strangers) < set(_names(directory))


def test_an_unfinished_one_that_is_not_listed_is_no_checkpoint(write):
    directory = write(10, 20)
    (directory / "ckpt-30.index").write_bytes(b"\x00" * 7)
    assert _steps(directory) == [20, 10]


def test_a_listed_one_with_a_damaged_index_is_not_forgotten(write):
    directory = write(10)
    (directory / "ckpt-10.index").write_bytes(b"\x00" * 7)
    assert _steps(directory) == [10]


@pytest.mark.parametrize("name", ["exp1", "exp*", "a\nb", "~"])
def test_files_of_a_directory_with_a_similar_name_stay(write, name):
    neighbour = write(5, name="exp12")
    before = _names(neighbour)
    directory = write(10, 20, 30, keep=1, name=name)
    assert _steps(directory) == [30]
    assert _names(neighbour) == before


def test_what_a_kill_left_is_removed(write):
    directory = write(10)
    before = _names(directory)
    (directory / "ckpt-20_temp").mkdir()
    (directory / "ckpt-20_temp" / "part-00000-of-00001.index").write_text("half")
    left = [
        "ckpt-20.data-00000-of-00001",
        "ckpt-20.index.tempstate123",
        "ckpt-20.data-00000-of-00001.tempstate123",
        f"checkpoint.tmp{'0a' * 16}",
        "checkpoint.tmp-0123abcd",
    ]
    strangers = ["ckpt-20_temp.txt", "my_temp", "checkpoint.tmp", "model.tmp-0123abcd"]
    for name in left + strangers:
        (directory / name).write_text("half")
    CheckpointFiles(str(directory)).remove_leftovers()
    assert _names(directory) == sorted(before + strangers)
    assert _steps(directory) == [10]
