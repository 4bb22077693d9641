import pytest

from tf_student.architecture.unet_config import UNetConfig
from tf_student.runtime.errors import InputError


def message(**options) -> str:
    with pytest.raises(InputError) as error:
        UNetConfig(**options)
    return str(error.value)


def test_a_size_that_the_levels_do_not_divide_is_an_error():
    assert message(image_size=36) == (
        "`image_size` must be divisible by 8, because 4 levels halve it 3 times. "
        "Received: image_size=36."
    )


def test_groups_that_do_not_divide_a_width_are_an_error():
    assert message(groups=3) == (
        "`groups` must divide the channels. Received: groups=3, channels=128."
    )


def test_an_odd_base_width_is_an_error():
    assert message(base_width=33, groups=3) == (
        "`base_width` must be even. Received: base_width=33."
    )


def test_a_network_without_levels_is_an_error():
    assert message(width_multipliers=()) == (
        "`width_multipliers` must name at least one level. "
        "Received: width_multipliers=()."
    )


def test_each_element_of_a_tuple_is_checked():
    assert message(width_multipliers=(1, 0)) == (
        "`width_multipliers` must be at least 1. Received: width_multipliers=(1, 0)."
    )


def test_dropout_of_everything_is_an_error():
    assert message(dropout=1.0) == ("`dropout` must be below 1. Received: dropout=1.0.")


def test_widths_and_shape_follow_from_the_fields():
    unet = UNetConfig(channels=1, base_width=64, width_multipliers=(1, 2, 4))
    assert unet.widths == (64, 128, 256)
    assert unet.image_shape == (32, 32, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 10**9}, "`image_size` must be at most 8192. Received: image"),
        ({"image_size": 8192, "channels": 5}, "`image_shape` must have 1 to 268,435,"),
        ({"blocks_per_level": 10**9}, "`blocks_per_level` must be at most 64. Receiv"),
        ({"width_multipliers": (1,) * 17}, "`width_multipliers` must name at most 16"),
        ({"width_multipliers": (1,) * 10**6}, "`width_multipliers` must name at most"),
        ({"level_widths": (8,) * 10**6}, "`width_multipliers` must name at most 16"),
        ({"base_width": 65536}, "`base_width` must lead to at most 65536 channels. R"),
        ({"classes": 10**9}, "`classes` must be at most 1048576. Received: classes=1"),
        ({"heads": "4"}, "`heads` must be an integer. Received: heads='4'."),
    ],
)
def test_what_no_network_has_is_refused_at_once(options, message):
    with pytest.raises(InputError) as error:
        UNetConfig(**options)
    assert str(error.value).startswith(message)
