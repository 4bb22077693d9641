import pytest

from tf_student.runtime.errors import InputError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no route\nand much more"), "no route"),
        (ValueError("\n  no route  \n"), "no route"),
        (AssertionError(), "AssertionError"),
        (OSError(" \n"), "OSError"),
        # TensorFlow's words about a full disk.
        (
            RuntimeError(
                "{{function_node __wrapped__SaveV2_dtypes_287_device_/job:localhost/"
                "replica:0/task:0/device:CPU:0}} run/ckpt-6_temp/part-00000; No space "
                "left on device [Op:SaveV2] name: "
            ),
            "run/ckpt-6_temp/part-00000; No space left on device",
        ),
    ],
)
def test_an_error_is_one_line(error, line):
    assert first_line(error) == line


def test_an_input_error_is_one_line_that_prints():
    error = InputError("a\nb \x1b[31m \ud800 Received: é.")
    assert str(error) == r"a\nb \x1b[31m \ud800 Received: é."


def test_a_very_long_value_is_shortened_in_the_middle():
    message = str(InputError(f"`x` must be short. Received: x={'y' * 10**6}; end."))
    assert len(message) == 1005
    assert message.startswith("`x` must be short. Received: x=yyy")
    assert message.endswith("yyy; end.")
