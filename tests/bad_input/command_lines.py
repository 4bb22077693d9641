"""Command lines that are wrong as a whole, and texts that options refuse."""

from collections.abc import Iterator

from tests.bad_input import flag_values
from tests.bad_input.many_runs import BadInput

# Options of other commands, by the command that lacks them.
_FOREIGN = {
    "teacher": "--pairs=8",
    "convert": "--work_dir=a",
    "verify-teacher": "--steps=5",
    "pairs": "--steps=5",
    "distill": "--image_size=8",
    "match": "--calls=5",
    "sample": "--pairs=8",
    "interpolate": "--count=8",
    "evaluate": "--steps=5",
    "export": "--steps=5",
    "rollout": "--count=8",
    "client": "--pairs=8",
    "gallery": "--steps=5",
    "demo": "--steps=5",
    "doctor": "--steps=5",
}
_NASTY = ("1\n2", "\x1b[31mred\x1b[0m", "a\x00b", "\u202ea", " ", "a b", "x" * 5000)
_TEXTS = {
    ("export", "name"): (*_NASTY, "a/b", "../a", "~", "\u00e9", "[1]"),
    ("client", "model"): (*_NASTY[:-1], "", "a/b", "../..", "[1]", "\u00e9"),
    ("client", "label"): (*_NASTY[:-1], "a/b", "../..", "[1]"),
    ("client", "server"): (
        *_NASTY,
        "",
        "localhost:8501",
        "ftp://host",
        "http://",
        "http://host:many",
        "http://host:99999",
        "http://host:0",
        "http://[::1",
        "http://ho\nst",
        "http://host/\x1b[31m",
        "file:///a",
    ),
    ("rollout", "server"): (
        *_NASTY,
        "",
        ",",
        "grpc://host:8500",
        "http://host:many",
        "http://a:1,b",
        "http://",
        "http://[::1",
    ),
    ("gallery", "host"): (*_NASTY, "", "999.0.0.1.", "[::1", "http://a", "a/b"),
}
# Each of the commands with --preset.
_PRESETS = tuple(
    (command, "preset") for command in flag_values.COMMANDS if command != "convert"
)
_PRESET_VALUES = ("", "imagenet", "DIGITS", "digits ", "../digits", *_NASTY)

TEXTS = tuple(
    BadInput(flag_values.arguments(command, f"--{name}={value}"), (name,))
    for (command, name), values in {
        **_TEXTS,
        **dict.fromkeys(_PRESETS, _PRESET_VALUES),
    }.items()
    for value in values
)


def of_command(command: str) -> Iterator[BadInput]:
    """Unknown flags, flags of other commands, words, and files of flags."""

    def bad(*words: str, names: tuple[str, ...]) -> BadInput:
        return BadInput(flag_values.arguments(command, *words), names)

    foreign = _FOREIGN[command]
    yield bad(foreign, names=(foreign.split("=")[0].strip("-"),))
    yield bad("--no_such_flag", names=("no_such_flag",))
    yield bad("--no_such_flag=1", names=("no_such_flag",))
    yield bad("--no\nsuch\x1b[31mflag", names=("such\\x1b[31mflag",))
    yield bad("--" + "x" * 5000, names=("xxx",))
    yield bad("word", names=("word",))
    yield bad("two\nlines", names=("two\\nlines",))
    yield bad("\x1b[31m", names=("\\x1b[31m",))
    yield bad("--", "--word", names=("--word",))
    yield bad("-", names=("-",))
    yield bad("--=5", names=("=5", "--", "''"))
    yield bad("--debug=perhaps", names=("debug",))
    yield bad("--flagfile={root}/absent", names=("absent",))
    yield bad("--flagfile={root}/folder", names=("folder",))
    yield bad("--flagfile={root}/binary", names=("binary",))
    yield bad("--flagfile={root}/loop", names=("loop",))
    yield bad("--verbosity=loud", names=("verbosity",))
    yield bad("--stderrthreshold=loud", names=("stderrthreshold",))
    yield bad("--logger_levels=a", names=("logger_levels",))
