import pytest

from tf_student.runtime.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no route\nand much more"), "no route"),
        (ValueError("\n  no route  \n"), "no route"),
        (AssertionError(), "AssertionError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_an_error_is_one_line(error, line):
    assert first_line(error) == line
