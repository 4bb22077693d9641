import pytest

from tf_student.runtime import contents
from tf_student.runtime.errors import InputError

_ALL = (contents.RUN, contents.PAIRS, contents.MODEL)


@pytest.mark.parametrize("own", _ALL)
def test_a_new_or_empty_directory_is_accepted(tmp_path, own):
    contents.check(str(tmp_path / "new"), own)
    (tmp_path / "notes.txt").touch()
    contents.check(str(tmp_path), own)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("own", _ALL)
def test_a_directory_that_holds_more_is_accepted(tmp_path, own):
    for name in _ALL:
        (tmp_path / name).touch()
    contents.check(str(tmp_path), own)


@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        (contents.RUN, contents.PAIRS, "hold a run. Received: .*, which holds a pair"),
        (contents.PAIRS, contents.MODEL, "hold a pair set. Received: .*an exported mo"),
        (contents.MODEL, contents.RUN, "hold an exported model. Received: .*a run"),
    ],
)
def test_a_directory_of_something_else_is_refused(tmp_path, own, other, message):
    (tmp_path / other).touch()
    with pytest.raises(InputError, match=message):
        contents.check(str(tmp_path), own)
