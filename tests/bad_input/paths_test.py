"""Wrong files and folders are refused in one line, and nothing is written."""

import collections

import pytest

from tests.bad_input import flag_values, many_runs, path_values

_COMMANDS = flag_values.COMMANDS


@pytest.mark.parametrize(
    "command", dict.fromkeys(command for command, _ in path_values.INPUTS)
)
def test_inputs(root, command):
    assert many_runs.faults(path_values.inputs(command), root) == {}


@pytest.mark.parametrize(
    "command", dict.fromkeys(command for command, _ in path_values.OUTPUTS)
)
def test_outputs(root, command):
    assert many_runs.faults(path_values.outputs(command), root) == {}


def test_every_path_of_every_command_is_tried():
    tried = {*path_values.INPUTS, *path_values.OUTPUTS}
    paths = {
        (command, definition.name)
        for command in _COMMANDS
        for definition in flag_values.definitions(command)
        if definition.is_path and definition.name != "work_dir"
    }
    # The place of TFDS' own datasets, which may be anything.
    missing = {(command, name) for command, name in paths - tried if name != "data_dir"}
    # Pairs that cannot be read are not used.
    assert missing == {("evaluate", "pairs_dir")}


@pytest.mark.parametrize(
    ("of_command", "values", "least"),
    [
        (path_values.inputs, path_values.NO_INPUTS, 3),
        (path_values.outputs, (*path_values.NO_OUTPUTS, *path_values.OTHERS), 1),
    ],
)
def test_every_value_is_tried(of_command, values, least):
    counts = collections.Counter(
        bad_input.arguments[-1].partition("=")[2]
        for command in _COMMANDS
        for bad_input in of_command(command)
    )
    assert min(counts[value] for value in values) >= least
