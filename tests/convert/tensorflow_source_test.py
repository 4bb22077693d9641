"""Checkpoints of TensorFlow by their prefix, a file or a folder."""

import pytest

from tf_student.convert import tensorflow_source
from tf_student.runtime.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    "name", ["", "m-7", "m-7.index", "m-7.meta", "m-7.data-00000-of-00001"]
)
def test_a_checkpoint_by_any_of_its_names(tmp_path, name):
    touch(tmp_path, "m-7.index", "m-7.meta", "m-7.data-00000-of-00001", "checkpoint")
    path = f"{tmp_path}/{name}".rstrip("/")
    assert tensorflow_source.prefix(path) == f"{tmp_path}/m-7"


def test_other_paths_are_none(tmp_path):
    touch(tmp_path, "model.pt")
    assert tensorflow_source.prefix(str(tmp_path)) is None
    assert tensorflow_source.prefix(f"{tmp_path}/model.pt") is None
    assert tensorflow_source.prefix(f"{tmp_path}/nothing") is None


@pytest.mark.parametrize("latest", ["b", "/somewhere/else/b", "../b"])
def test_the_latest_of_several_lies_in_their_folder(tmp_path, latest):
    touch(tmp_path, "a.index", "b.index")
    text = f'model_checkpoint_path: "{latest}"\nall_model_checkpoint_paths: "a"\n'
    (tmp_path / "checkpoint").write_text(text)
    assert tensorflow_source.prefix(str(tmp_path)) == f"{tmp_path}/b"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'model_checkpoint_path: "c"'])
def test_one_of_several_must_be_named(tmp_path, content):
    touch(tmp_path, "a.index", "b.index")
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(InputError, match=r"must name one of .* 2 checkpoints"):
        tensorflow_source.prefix(str(tmp_path))
