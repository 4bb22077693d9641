import dataclasses

import pytest

from tf_student.convert.json_options import read_options
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import option


@dataclasses.dataclass(frozen=True)
class _Options:
    size: int = option(1, "A size.", minimum=1)
    widths: tuple[int, ...] = option((), "Widths.")


def test_known_options_are_read_and_others_are_left():
    values = {"widths": [1, 2], "other": object()}
    assert read_options(_Options, values, "a.json") == _Options(widths=(1, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "1"}, "a.json: `size` must be an integer. Received: size='1'."),
        ({"size": 0}, "a.json: `size` must be at least 1. Received: size=0."),
        ({"size": None}, "a.json: `size` must be an integer. Received: size=None."),
        ({"widths": [[1]]}, "a.json: `widths` must be a sequence of integers. "),
        ({"widths": {}}, "a.json: `widths` must be a sequence of integers. "),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_file(values, message):
    with pytest.raises(InputError) as error:
        read_options(_Options, values, "a.json")
    assert str(error.value).startswith(message)
