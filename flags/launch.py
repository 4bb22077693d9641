"""Runs a command: parses its flags and turns errors into a line and an exit code."""

import contextlib
import importlib
import logging as standard_logging
import os
import pathlib
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NoReturn

from absl import app, flags, logging
from tf_student.flags import config_flags, endings, output

from tf_student.runtime import atomic, interruption, keras_settings, preemption
from tf_student.runtime.errors import (
    DivergedError,
    InputError,
    Preempted,
    VerificationError,
    WorkerLost,
    first_line,
)

EXIT_INPUT = 2
EXIT_DIVERGED = 3
EXIT_UNVERIFIED = 4
# EX_SOFTWARE: nobody foresaw the error.
EXIT_UNEXPECTED = 70
EXIT_PREEMPTED = endings.EXIT_PREEMPTED
# Exit codes after which a repetition does not help.
FINAL = (EXIT_INPUT, EXIT_DIVERGED, EXIT_UNVERIFIED)
# Far above the length of any flag's name.
_LONGEST_FLAG = 100
# The environment variable with the path of a file for such errors.
ERROR_FILE = "TF_STUDENT_ERROR_FILE"
# The packages whose information messages are not for users.
_OTHERS = frozenset({"tensorflow", "tensorflow_datasets"})

# What a command would do, and its costs by name.
Plan = tuple[str, dict[str, Any]]


def run(main: Callable[[], None], plan: Callable[[], Plan] | None = None) -> None:
    """Parses the command line, runs the command and ends the process.

    Args:
        main: runs the command.
        plan: returns what the command would do and its cost, which --dry_run prints
            instead of running `main`. A command without a plan has no such flag.
    """
    text = "Show the traceback of an unexpected error, for a bug report."
    flags.DEFINE_boolean("debug", False, text, module_name="tf_student.debug")
    if plan is not None:
        text = "Print what the command would do and what it would cost, and exit."
        flags.DEFINE_boolean("dry_run", False, text, module_name=config_flags.GROUP)
    try:
        with output.flushed(), endings.guarded():
            app.run(lambda argv: _execute(argv, main, plan), flags_parser=_parse)
    except SystemExit as end:
        if os.environ.get("TF_CONFIG"):
            # TensorFlow's own shutdown waits for workers that may have died.
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else end.code is not None)
        raise


def _execute(
    argv: list[str], main: Callable[[], None], plan: Callable[[], Plan] | None
) -> None:
    if len(argv) > 1:
        _fail(f"unexpected argument {argv[1]!r}; flags begin with --", EXIT_INPUT)
    _log_plainly()
    try:
        with interruption.working():
            if plan is not None and flags.FLAGS.dry_run:
                _print_plan(*plan())
            else:
                main()
    except KeyboardInterrupt as error:
        terminated = isinstance(error, preemption.Terminated)
        interruption.told()
        _fail(*endings.ENDS[signal.SIGTERM if terminated else signal.SIGINT])
    except BrokenPipeError:
        # The reader of the output has gone, which `output.flushed` handles.
        raise
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            if flags.FLAGS.debug:
                raise
            explained = _describe_unexpected(error), EXIT_UNEXPECTED
        # A file system that does not respond may do so later.
        _fail(*explained, final=type(error).__name__ != "UnavailableError")


def _explain(error: Exception) -> tuple[str, int] | None:
    """Returns the message and exit code of an error that a user can correct."""
    match error:
        case Preempted():
            return f"stopped by SIGTERM. {error}", EXIT_PREEMPTED
        case WorkerLost():
            return f"{error} Run the same command again to continue.", EXIT_PREEMPTED
        case DivergedError():
            return str(error), EXIT_DIVERGED
        case VerificationError():
            return str(error), EXIT_UNVERIFIED
        case InputError() | OSError() | ImportError():
            return str(error), EXIT_INPUT
        case _ if _is_file_system_error(error):
            return first_line(error), EXIT_INPUT
    return None


def _describe_unexpected(error: Exception) -> str:
    """A line about an error that nobody foresaw, whose traceback goes to a file."""
    text = f"unexpected {type(error).__name__}: {first_line(error).rstrip('.')}."
    try:
        descriptor, path = tempfile.mkstemp(prefix="tf-student-", suffix=".log")
        with open(descriptor, "w", errors="replace") as file:
            file.writelines(traceback.format_exception(error))
    # The disk may be full, which may be the error itself.
    except OSError:
        return f"{text} --debug shows the traceback."
    return f"{text} The traceback is in {path}, for a bug report."


def _parse(argv: list[str]) -> list[str]:
    asked = {argument.lstrip("-") for argument in argv[1:] if argument[:1] == "-"}
    if asked & {"help", "helpshort", "h", "?"}:
        listing = flags.FLAGS.module_help(config_flags.GROUP)
        _print_help(f"{listing}\n\nAdvanced flags: --helpfull")
    if "helpfull" in asked:
        _print_help(flags.FLAGS.get_help())
    # absl compares an unknown name with all others, in one call for each character.
    for name in (argument.partition("=")[0] for argument in argv[1:]):
        if name.startswith("-") and len(name) > _LONGEST_FLAG:
            _fail(f"Unknown command line flag {name.lstrip('-')!r}", EXIT_INPUT)
    try:
        return flags.FLAGS(argv)
    except UnicodeDecodeError:
        files = ", ".join(a for a in argv[1:] if "flagfile" in a)
        _fail(f"a file of flags must be UTF-8. Received: {files}", EXIT_INPUT)
    # absl's own flags raise errors of other types.
    except (flags.Error, ValueError) as error:
        _fail(" ".join(str(error).split()), EXIT_INPUT)


def _print_help(listing: str) -> NoReturn:
    print(f"{sys.modules['__main__'].__doc__}{listing}")
    sys.exit(0)


def _fail(message: str, code: int, *, final: bool = True) -> NoReturn:
    """Prints why the command ends, and ends it.

    Args:
        message: becomes one line.
        code: the exit code.
        final: whether the same command would end with the same error again, unless the
            code says that it would not.
    """
    line = endings.line(message)
    print(line, file=sys.stderr)
    if final and code in FINAL:
        _leave_marker(f"{code} {line}\n")
    sys.exit(code)


def _leave_marker(text: str) -> None:
    """Writes an error into the file that a script of a scheduler names, if any.

    Schedulers that end the other tasks of a job may report the exit code of those.
    """
    path = os.environ.get(ERROR_FILE)
    if path:
        with contextlib.suppress(OSError):
            atomic.write_bytes(path, text.encode("utf-8", "replace"))


def _log_plainly() -> None:
    """Logs messages without the time and the source line: users read them."""
    logging.use_absl_handler()
    plain = standard_logging.Formatter("%(message)s")
    logging.get_absl_handler().setFormatter(plain)
    logging.get_absl_logger().addFilter(_concerns_the_user)


def _concerns_the_user(record: standard_logging.LogRecord) -> bool:
    """Drops information messages that TensorFlow and TFDS log through absl."""
    folders = pathlib.Path(record.pathname).parts
    return record.levelname != "INFO" or _OTHERS.isdisjoint(folders)


def _print_plan(title: str, cost: dict[str, Any]) -> None:
    print(f"Would {title}:")
    for name, value in cost.items():
        print(f"  {name}: {value if isinstance(value, str) else format(value, ',')}")


def _is_file_system_error(error: Exception) -> bool:
    """Whether TensorFlow reports a full disk, missing permissions or the like."""
    if "tensorflow" not in sys.modules:
        return False
    errors = sys.modules["tensorflow"].errors
    kinds = (
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.NotFoundError,
        errors.FailedPreconditionError,
        # The file exceeds the allowed size.
        errors.OutOfRangeError,
        errors.UnavailableError,
    )
    scheme = isinstance(error, errors.UnimplementedError) and "scheme" in str(error)
    return isinstance(error, kinds) or scheme


def costs() -> ModuleType:
    """Returns the module `tf_student.flags.costs`, which imports TensorFlow."""
    return import_quietly("tf_student.flags.costs")


def import_quietly(name: str) -> ModuleType:
    """Imports TensorFlow and a module, hiding the messages that its libraries print.

    What they write to stderr is shown only if the import fails.

    Raises:
        InputError: if Keras' own settings are not those that networks need.
    """
    keras_settings.check()
    with interruption.importing(), _silenced_stderr():
        tf = importlib.import_module("tensorflow")
        tf.get_logger().setLevel("ERROR")
        # Listing logical devices instead would initialise TensorFlow's runtime before
        # a worker can start its server.
        tf.config.list_physical_devices()
        return importlib.import_module(name)


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(original, captured.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
