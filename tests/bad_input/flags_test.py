"""Wrong values of flags are refused in one line, before anything is made."""

import pytest

from tests.bad_input import command_lines, flag_values, many_runs, path_values
from tests.bad_input.many_runs import BadInput
from tests.flags import commands


@pytest.mark.parametrize("command", flag_values.COMMANDS)
def test_wrong_values(places, command):
    inputs = [*flag_values.of_command(command), *path_values.nowhere(command)]
    assert many_runs.faults(inputs, places) == {}


def test_wrong_texts(places):
    assert many_runs.faults(command_lines.TEXTS, places) == {}


@pytest.mark.parametrize("command", flag_values.COMMANDS)
def test_wrong_command_lines(places, command):
    assert many_runs.faults(command_lines.of_command(command), places) == {}


def test_settings_of_keras(places):
    (places / "first").mkdir()
    text = '{"image_data_format": "channels_first"}'
    (places / "first/keras.json").write_text(text)
    inputs = []
    for command in ("teacher", "pairs", "distill", "sample", "export", "gallery"):
        line = flag_values.arguments(command)
        backend = {"KERAS_BACKEND": "jax"}
        inputs.append(BadInput(line, ("KERAS_BACKEND",), backend))
        home = {"KERAS_HOME": str(places / "first")}
        inputs.append(BadInput(line, ("first/keras.json",), home))
    assert many_runs.faults(inputs, places) == {}


def test_doctor_finds_settings_of_keras(places):
    line = ("doctor", "--work_dir={root}")
    (outcome,) = many_runs.run([BadInput(line, (), {"KERAS_BACKEND": "jax"})], places)
    assert outcome.code == 1
    assert "FAULT Keras' settings: The environment variable KERAS_" in outcome.out
    assert outcome.out.endswith("1 fault(s).\n")


def test_there_are_many():
    count = sum(
        len(flag_values.of_command(command)) + len([*path_values.nowhere(command)])
        for command in flag_values.COMMANDS
    )
    assert count > 5000


@pytest.mark.parametrize(
    ("bad_input", "fault"),
    [
        (BadInput(("teacher", "--steps=0"), ("`pairs`",)), "none of ['`pairs`']"),
        (BadInput(("teacher", "--steps=0"), ("`steps`",), code=3), "the exit code 2"),
        (BadInput(("doctor", "--help"), ("usage",)), "not one line"),
    ],
)
def test_a_command_that_ends_differently_is_a_fault(places, bad_input, fault):
    (found,) = many_runs.faults([bad_input], places).values()
    assert fault in found


def test_commands_are_all_commands():
    assert {commands.module(name) for name in flag_values.COMMANDS} >= {
        "tf_student.flags.teacher",
        "tf_student.flags.verify_teacher",
        "tf_student.flags.demo",
    }
