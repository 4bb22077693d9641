"""How commands end on SIGTERM and Ctrl-C.

This module imports little: signals count from the moment when it is used.
"""

import contextlib
import os
import signal
import sys

from tf_student.runtime import interruption
from tf_student.runtime.errors import one_line

# EX_TEMPFAIL: running the same command again continues.
EXIT_PREEMPTED = 75
EXIT_INTERRUPTED = 130
# The messages and exit codes of a command that has nothing to save.
ENDS = {
    signal.SIGTERM: (
        "stopped by SIGTERM. The same command continues.",
        EXIT_PREEMPTED,
    ),
    signal.SIGINT: (
        "interrupted; run the same command again to continue",
        EXIT_INTERRUPTED,
    ),
}


def line(message: str) -> str:
    """Returns a message with the name of the command, as one line."""
    command = os.path.basename(sys.argv[0]).removesuffix(".py").replace("_", "-")
    return f"tf-student {command}: {one_line(message.strip())}"


def guarded() -> contextlib.AbstractContextManager[None]:
    """A context in which SIGTERM and Ctrl-C end the command with one line."""
    return interruption.guarded(
        {
            number: interruption.Farewell(line(message), code)
            for number, (message, code) in ENDS.items()
        }
    )
