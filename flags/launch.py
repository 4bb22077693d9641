"""Runs a station: parses its flags, and turns errors into one line and an exit code."""

import contextlib
import importlib
import logging as standard_logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags, logging
from tf_student.flags import output

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
# EX_TEMPFAIL: the same command, run again, goes on.
EXIT_PREEMPTED = 75


# What a command would do, and what that costs by name.
Plan = tuple[str, dict[str, Any]]


def run(main: Callable[[], None], plan: Callable[[], Plan] | None = None) -> None:
    """Parses the command line, runs the command and ends the process.

    Args:
        main: runs the command.
        plan: what the command would do; printed in place of running it with --dry_run.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            _fail(f"unexpected argument {argv[1]!r}; flags begin with --", EXIT_INPUT)
        logging.use_absl_handler()
        # What happens is for a person: no time, no line of a source file.
        plain = standard_logging.Formatter("%(message)s")
        logging.get_absl_handler().setFormatter(plain)
        logging.get_absl_logger().addFilter(_concerns_the_user)
        try:
            if plan is not None and flags.FLAGS.dry_run:
                _print_plan(*plan())
            else:
                main()
        except InputError as error:
            _fail(str(error), EXIT_INPUT)
        except DivergedError as error:
            _fail(str(error), EXIT_DIVERGED)
        except VerificationError as error:
            _fail(str(error), EXIT_UNVERIFIED)
        except Preempted as error:
            _fail(f"stopped by SIGTERM. {error}", EXIT_PREEMPTED)
        except WorkerLost as error:
            _fail(f"{error} The same command goes on.", EXIT_PREEMPTED)
        except KeyboardInterrupt:
            _fail("interrupted; the same command goes on", 130)
        except BrokenPipeError:
            # Of a reader of the output, which `output.flushed` knows about.
            raise
        except (OSError, ImportError) as error:
            _fail(str(error), EXIT_INPUT)
        except Exception as error:
            if not _is_file_system_error(error):
                raise
            _fail(first_line(error), EXIT_INPUT)

    try:
        with output.flushed():
            app.run(guarded, flags_parser=_parse)
    except SystemExit as end:
        if os.environ.get("TF_CONFIG"):
            # TensorFlow's own end waits for the other workers, who may be gone.
            sys.stderr.flush()
            os._exit(end.code or 0)
        raise


def _parse(argv: list[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv):
        print(f"{sys.modules['__main__'].__doc__}{flags.FLAGS.main_module_help()}")
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _fail(" ".join(str(error).split()), EXIT_INPUT)


def _fail(message: str, code: int) -> None:
    station = os.path.basename(sys.argv[0]).removesuffix(".py").replace("_", "-")
    print(f"tf-student {station}: {message}", file=sys.stderr)
    sys.exit(code)


def _concerns_the_user(record: Any) -> bool:
    """Leaves out TensorFlow's bookkeeping, which it logs through absl."""
    of_tensorflow = f"{os.sep}tensorflow{os.sep}" in record.pathname
    return record.levelname != "INFO" or not of_tensorflow


def _print_plan(title: str, cost: dict[str, Any]) -> None:
    print(f"Would {title}:")
    for name, value in cost.items():
        print(f"  {name}: {value if isinstance(value, str) else format(value, ',')}")


def costs() -> Any:
    """The module `tf_student.flags.costs`, which imports TensorFlow."""
    return import_quietly("tf_student.flags.costs")


def _is_file_system_error(error: Exception) -> bool:
    """What TensorFlow raises for a full disk, a missing right and their like."""
    if "tensorflow" not in sys.modules:
        return False
    errors = sys.modules["tensorflow"].errors
    kinds = (
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.NotFoundError,
        errors.FailedPreconditionError,
        # A file beyond the size that is allowed.
        errors.OutOfRangeError,
        errors.UnavailableError,
    )
    return isinstance(error, kinds)


def import_quietly(name: str):
    """Imports a module that imports TensorFlow, without the banner of its libraries.

    What they write to stderr is shown only if the import fails.
    """
    with _silenced_stderr():
        tf = importlib.import_module("tensorflow")
        tf.get_logger().setLevel("ERROR")
        # Not the logical devices: making them would start TensorFlow's runtime before
        # a worker could become a server to the others.
        tf.config.list_physical_devices()
        return importlib.import_module(name)


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(kept, captured.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
