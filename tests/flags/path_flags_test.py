import pytest
import tensorflow as tf
from absl import flags
from tf_student.flags import path_flags


@pytest.fixture
def parse(monkeypatch):
    """Returns the value of a path flag on a command line."""
    monkeypatch.setenv("HOME", "/home/someone")

    def run(value):
        values, serializer = flags.FlagValues(), flags.ArgumentSerializer()
        parser = path_flags.PathParser()
        flags.DEFINE(
            parser, "where", None, "A path.", values, serializer, module_name="tests"
        )
        values(["program", f"--where={value}"])
        return values.where

    return run


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("~/runs/a", "/home/someone/runs/a"),
        ("~", "/home/someone"),
        ("./~/runs", "./~/runs"),
        ("runs/a~", "runs/a~"),
        ("runs/exp[1]*?", "runs/exp[1]*?"),
        ("a\nb", "a\nb"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("gs://bucket/" + "n" * 300, "gs://bucket/" + "n" * 300),
        ("ram://a", "ram://a"),
        ("file:///a/b", "/a/b"),
        ("hf:owner/name", "hf:owner/name"),
        ("lsun/bedroom:train", "lsun/bedroom:train"),
        ("", ""),
    ],
)
def test_a_path_is_expanded(parse, value, path):
    assert parse(value) == path


@pytest.mark.parametrize(
    "scheme", ["s3", "hdfs", "https", "http", "GS", "S3", "viewfs"]
)
def test_what_tensorflow_cannot_open_is_refused(parse, scheme):
    with pytest.raises(flags.IllegalFlagValueError) as error:
        parse(f"{scheme}://bucket/a")
    assert str(error.value) == (
        f"flag --where={scheme}://bucket/a: {scheme}:// cannot be opened. Of remote "
        "paths, those of gs:// can"
    )


def test_the_schemes_are_those_of_tensorflow():
    registered = set(tf.io.gfile.get_registered_schemes())
    assert set(path_flags.SCHEMES) == registered - {""}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\udcff", "must be UTF-8"),
        ("a\0b", "no null character"),
        ("n" * 300, "File name too long"),
        ("/n" * 3000, "File name too long"),
        ("loop/a", "Too many levels of symbolic links"),
        ("file/a", "Not a directory"),
        ("dangling", "dangling is a link that leads to nothing"),
        ("dangling/a/b", "dangling is a link that leads to nothing"),
        ("file:///" + "n" * 300, "File name too long"),
        ("~nobody_of_this_name/a", "a user of this machine"),
    ],
)
def test_a_name_that_is_no_path_is_refused(
    parse, tmp_path, monkeypatch, value, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").touch()
    with pytest.raises(flags.IllegalFlagValueError, match=message):
        parse(value)
