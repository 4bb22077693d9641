"""Bad values for every flag of every command, from the definitions of the flags."""

import dataclasses
import runpy
from collections.abc import Iterator
from typing import Any
from unittest import mock

from absl import flags
from tf_student.flags import config_flags, main, path_flags

from tests.bad_input.many_runs import BadInput, unchanged_flags
from tests.flags import commands

COMMANDS = tuple(main.COMMANDS)
# What a command line has besides, so that a command ends even if it accepts the value.
BASE = {
    "teacher": ("--work_dir={root}/absent", "--dataset={root}/absent"),
    "convert": ("--from={root}/absent", "--to={root}/new"),
    "client": ("--work_dir={root}/absent", "--server=http://127.0.0.1:1"),
    "demo": ("--work_dir={root}/file",),
    "gallery": ("--work_dir={root}/absent", "--port=0"),
    "rollout": ("--work_dir={root}/absent", "--no_wait"),
}
_BASE = ("--work_dir={root}/absent",)

# No text of these is a number, a choice, or true or false.
NO_VALUES = (
    "many",
    "",
    " ",
    "1\n2",
    "\x1b[31m1\x1b[0m",
    "1\x00",
    "\u202e1",
    "[1]",
    "{}",
    "None",
    "--",
    "x" * 5000,
    "\udcff",
)
NO_INTEGERS = (*NO_VALUES, "1.5", "nan", "inf", "1e400", "0x", "1" * 5000)
NO_NUMBERS = (*NO_VALUES, "1.2.3", "0x1p", "1" * 5000 + "x")
# Integers that are too large for any option.
HUGE = (2**63, 10**30, -(2**63) - 1)
NOT_FINITE = ("nan", "inf", "-inf", "1e400")


@dataclasses.dataclass(frozen=True)
class Definition:
    """A flag of a command, and the field of a config that it sets, if any."""

    flag: flags.Flag
    field: dataclasses.Field | None

    @property
    def name(self) -> str:
        """Of the flag."""
        return self.flag.name

    @property
    def is_path(self) -> bool:
        """Whether the value is a path."""
        return isinstance(self.flag.parser, path_flags.PathParser)


def arguments(command: str, *values: str) -> tuple[str, ...]:
    """The command line of a command with some flags."""
    return (command, *BASE.get(command, _BASE), *values)


def definitions(command: str) -> list[Definition]:
    """The flags that a command defines."""
    fields, define = {}, config_flags._define_field

    def record(field, *rest):
        fields[field.name] = field
        define(field, *rest)

    with unchanged_flags():
        # Other tests may have imported a command.
        for name in [n for n in flags.FLAGS if _is_ours(flags.FLAGS[n])]:
            delattr(flags.FLAGS, name)
        before = set(flags.FLAGS)
        with mock.patch.object(config_flags, "_define_field", record):
            runpy.run_module(commands.module(command), run_name="definitions")
        names = sorted(set(flags.FLAGS) - before)
        return [Definition(flags.FLAGS[n], fields.get(n)) for n in names]


def _is_ours(flag: flags.Flag) -> bool:
    module = flags.FLAGS.find_module_defining_flag(flag.name, "")
    return module in (config_flags.GROUP, config_flags.ADVANCED_GROUP)


def wrong_type(definition: Definition) -> Iterator[str]:
    """Values that are not of the flag's type."""
    parser = definition.flag.parser
    if isinstance(parser, flags.BooleanParser):
        yield from (value for value in NO_VALUES if value)
        yield from ("2", "-1", "tru")
    elif isinstance(parser, flags.IntegerParser):
        yield from NO_INTEGERS
    elif isinstance(parser, flags.FloatParser):
        yield from NO_NUMBERS
    elif isinstance(parser, flags.EnumParser):
        yield from (*NO_VALUES, *(f"{c} " for c in parser.enum_values))
        yield from (c.upper() for c in parser.enum_values)
    elif isinstance(parser, flags.ListParser):
        yield from (f"1,{value}" for value in NO_VALUES if value.strip())
        yield from ("1,,2", ",", "1;2", "1,2,")


def out_of_range(definition: Definition) -> Iterator[str]:
    """Numbers that the field's own limits exclude, at both ends."""
    field, parser = definition.field, definition.flag.parser
    if field is None or not _is_numeric(parser):
        return
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    if minimum is not None:
        yield from (str(minimum - 1), str(-(10**12)))
    if maximum is not None:
        yield from (str(maximum + 1), str(max(maximum + 1, 10**12)))
    if isinstance(parser, flags.FloatParser):
        yield from NOT_FINITE
    else:
        yield from map(str, HUGE)


def _is_numeric(parser: Any) -> bool:
    kinds = (flags.IntegerParser, flags.FloatParser, flags.ListParser)
    return isinstance(parser, kinds)


def of_command(command: str) -> list[BadInput]:
    """Every wrong value of every flag of a command."""
    found = []
    for definition in definitions(command):
        name = definition.name
        for value in (*wrong_type(definition), *out_of_range(definition)):
            line = arguments(command, f"--{name}={value}")
            found.append(BadInput(line, (name,)))
    return found
