import dataclasses

import numpy as np
import pytest

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import (
    check,
    check_types,
    from_dict,
    option,
    to_dict,
)


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = option(8, "A size.", minimum=1, maximum=64)
    widths: tuple[int, ...] = option((1, 2), "Widths.", minimum=1, maximum=64)
    rate: float = option(0.5, "A rate.", minimum=0, free=True)
    mode: str = option("a", "A mode.", choices=("a", "b"), advanced=True)
    flip: bool = option(False, "A switch.")
    heads: tuple[int, ...] | None = option(None, "Heads.", added=True)
    kinds: tuple[str, ...] = option(("x",), "Kinds.", choices=("x", "y"))


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
        "maximum": 64,
        "free": False,
        "advanced": False,
        "added": False,
        "path": False,
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
        ({"rate": 10**400}, "`rate` must be finite. Received: rate=1000"),
        ({"mode": "c"}, "`mode` must be one of: a, b. Received: mode='c'."),
        ({"size": 65}, "`size` must be at most 64. Received: size=65."),
        ({"widths": (65,)}, "`widths` must be at most 64. Received: widths=(65,)."),
        ({"kinds": ("z",)}, "`kinds` must be one or several of: x, y; each at most "),
        (
            {"kinds": ()},
            "`kinds` must be one or several of: x, y; each at most ",
        ),
        ({"kinds": ("y", "y")}, "`kinds` must be one or several of: x, y; each at mos"),
        ({"size": "8"}, "`size` must be an integer. Received: size='8'."),
        ({"size": 8.0}, "`size` must be an integer. Received: size=8.0."),
        ({"size": True}, "`size` must be an integer. Received: size=True."),
        ({"size": None}, "`size` must be an integer. Received: size=None."),
        ({"rate": "1"}, "`rate` must be a number. Received: rate='1'."),
        ({"mode": ["a"]}, "`mode` must be a string. Received: mode=['a']."),
        ({"flip": 1}, "`flip` must be true or false. Received: flip=1."),
        (
            {"widths": [1]},
            "`widths` must be a sequence of integers. Received: widths=[1].",
        ),
        (
            {"widths": (1, (2,))},
            "`widths` must be a sequence of integers. Received: widths=(1, (2,)).",
        ),
        (
            {"heads": (1.5,)},
            "`heads` must be a sequence of integers or null. Received: heads=(1.5,).",
        ),
    ],
)
def test_a_value_outside_its_limits_is_an_error(options, expected):
    assert message(lambda: check(Config(**options))).startswith(expected)


def test_integers_of_numpy_and_whole_numbers_pass():
    check(Config(size=np.int64(3), rate=1, heads=None))
    check(Config(rate=np.float32(0.25), heads=(1,), kinds=("y", "x")))


def test_a_long_value_is_cut_in_the_message():
    text = message(lambda: check(Config(widths=(0,) * 10_000)))
    assert len(text) < 300 and text.endswith("0, 0...."), text


def test_a_record_without_options_has_its_types_checked():
    @dataclasses.dataclass(frozen=True)
    class Inner:
        size: int

    @dataclasses.dataclass(frozen=True)
    class Outer:
        shape: tuple[int, int]
        parts: tuple[Inner, ...] = ()

    check_types(Outer((1, 2), (Inner(1), Inner(2))))
    assert message(lambda: check_types(Outer((1, 2, 3)))) == (
        "`shape` must be a sequence of 2 integers. Received: shape=(1, 2, 3)."
    )
    assert message(lambda: check_types(Outer((1, 2), (1,)))).startswith("`parts` must")
    assert message(lambda: check_types(Inner("a"))).startswith("`size` must be an int")


def test_to_dict_holds_only_json_values():
    assert to_dict(Config()) == {
        "size": 8,
        "widths": [1, 2],
        "rate": 0.5,
        "mode": "a",
        "flip": False,
        "kinds": ["x"],
    }


def test_from_dict_is_the_inverse_of_to_dict():
    config = Config(size=3, widths=(4,), flip=True)
    assert from_dict(Config, to_dict(config)) == config


@pytest.mark.parametrize("values", [None, [], 7, "text", [["size", 8]]])
def test_from_dict_needs_an_object(values):
    text = message(lambda: from_dict(Config, values))
    assert text.startswith("`Config` must be a JSON object. Received: Config=")


def test_from_dict_fills_in_defaults():
    assert from_dict(Config, {"size": 3}) == Config(size=3)


def test_from_dict_names_unknown_options():
    assert message(lambda: from_dict(Config, {"size": 5, "eta": 0})) == (
        "Config has no option named eta; the file was written by another version."
    )
