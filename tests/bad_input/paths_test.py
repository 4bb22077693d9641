"""Wrong files and folders are refused in one line, and nothing is written."""

import collections

import pytest

from tests.bad_input import flag_values, many_runs, path_values
from tests.bad_input.many_runs import BadInput

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


def _faults(root, lines):
    """The faults of lines with the work directory of the whole run."""
    inputs = [
        BadInput((command, "--work_dir={root}/whole", *flags), names)
        for command, flags, names in lines
    ]
    return many_runs.faults(inputs, root)


def test_networks_of_the_other_kind(root):
    teacher, student = "{root}/whole/teacher", "{root}/whole/student"
    a_student, a_teacher = ("must have a teacher",), ("must have a student",)
    lines = [
        ("export", ("--network=teacher", f"--teacher_dir={student}"), a_student),
        ("export", (f"--student_dir={teacher}",), a_teacher),
        ("export", ("--network=matched", f"--matched_dir={teacher}"), a_teacher),
        ("sample", ("--network=teacher", f"--teacher_dir={student}"), a_student),
        ("interpolate", (f"--student_dir={teacher}",), a_teacher),
        ("pairs", (f"--teacher_dir={student}",), a_student),
    ]
    assert _faults(root, lines) == {}


def test_directories_of_others(root):
    lines = [
        ("teacher", ("--teacher_dir={root}/whole/pairs",), ("holds a pair set",)),
        ("teacher", ("--teacher_dir={root}/whole/export",), ("an exported model",)),
        ("pairs", ("--pairs_dir={root}/whole/teacher",), ("holds a run",)),
        ("export", ("--export_dir={root}/whole/pairs",), ("holds a pair set",)),
        ("export", ("--export_dir={root}/whole/student",), ("holds a run",)),
    ]
    assert _faults(root, lines) == {}


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
