import pytest

from tf_student.convert import json_file
from tf_student.runtime.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.json"


def test_an_object(path):
    path.write_text('{"a": {"b": [1, -Infinity]}}')
    assert json_file.read(str(path)) == {"a": {"b": [1, float("-inf")]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", r"must hold a JSON object. Received: \[1\]."),
        (b"3", "must hold a JSON object. Received: 3."),
        (b"null", "must hold a JSON object. Received: None."),
        (b'"text"', "must hold a JSON object. Received: 'text'."),
        (b"", "is not valid JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "is not valid JSON"),
        (b'{"a": [1' + b"0" * 400 + b"]}", "must hold no huge integers. Received: 1"),
        (b'{"a":' * 5000, "is not valid JSON"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "nested in at most 16 levels"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b'{"a": [' + b"[]," * 1_500_000 + b"[]]}", "at most 4,194,304 bytes"),
    ],
)
def test_other_content_is_one_line(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        json_file.read(str(path))
    assert "\n" not in str(error.value)
