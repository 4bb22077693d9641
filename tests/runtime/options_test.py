import dataclasses

import pytest

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, from_dict, option, to_dict


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = option(8, "A size.", minimum=1)
    widths: tuple[int, ...] = option((1, 2), "Widths.", minimum=1)
    rate: float = option(0.5, "A rate.", minimum=0, free=True)
    mode: str = option("a", "A mode.", choices=("a", "b"), advanced=True)
    flip: bool = option(False, "A switch.")


def message(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_an_option_carries_its_documentation():
    fields = {field.name: field.metadata for field in dataclasses.fields(Config)}
    assert fields["size"] == {
        "doc": "A size.",
        "choices": (),
        "minimum": 1,
        "free": False,
        "advanced": False,
        "added": False,
    }
    assert fields["rate"]["free"]
    assert fields["mode"]["choices"] == ("a", "b")
    assert fields["mode"]["advanced"]


def test_files_omit_added_options_that_have_their_default():
    @dataclasses.dataclass(frozen=True)
    class Later:
        size: int = option(1, "A size.")
        shape: tuple[int, ...] = option((), "A shape.", added=True)

    assert to_dict(Later()) == {"size": 1}
    assert to_dict(Later(shape=(2,))) == {"size": 1, "shape": [2]}
    for config in (Later(), Later(shape=(2,))):
        assert from_dict(Later, to_dict(config)) == config


def test_defaults_pass_the_check():
    check(Config())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"size": 0}, "`size` must be at least 1. Received: size=0."),
        ({"widths": (1, 0)}, "`widths` must be at least 1. Received: widths=(1, 0)."),
        ({"rate": float("nan")}, "`rate` must be at least 0. Received: rate=nan."),
        ({"rate": float("inf")}, "`rate` must be finite. Received: rate=inf."),
        ({"mode": "c"}, "`mode` must be one of: a, b. Received: mode='c'."),
    ],
)
def test_a_value_outside_its_limits_is_an_error(options, expected):
    assert message(lambda: check(Config(**options))) == expected


def test_to_dict_holds_only_json_values():
    assert to_dict(Config()) == {
        "size": 8,
        "widths": [1, 2],
        "rate": 0.5,
        "mode": "a",
        "flip": False,
    }


def test_from_dict_is_the_inverse_of_to_dict():
    config = Config(size=3, widths=(4,), flip=True)
    assert from_dict(Config, to_dict(config)) == config


def test_from_dict_fills_in_defaults():
    assert from_dict(Config, {"size": 3}) == Config(size=3)


def test_from_dict_names_unknown_options():
    assert message(lambda: from_dict(Config, {"size": 5, "eta": 0})) == (
        "Config has no option named eta; the file was written by another version."
    )
