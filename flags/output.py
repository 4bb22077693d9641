"""Writes the output of commands, whose reader may have gone."""

import contextlib
import os
import sys
from collections.abc import Iterator

# The exit code that a shell reports for a program that SIGPIPE ended.
EXIT_UNREAD = 141
_EXIT_UNWRITTEN = 2
_STDOUT = 1


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Flushes stdout on exit; ends the process with an error if that fails.

    A reader may stop early, as `head` does. That is not an error: the process then ends
    without a message.
    """
    try:
        try:
            yield
        finally:
            # print() accepts the missing sys.stdout of a closed stdout.
            print(end="", flush=True)
    except OSError as error:
        # Python flushes stdout once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        if isinstance(error, BrokenPipeError):
            sys.exit(EXIT_UNREAD)
        print(f"tf-student: cannot write the output: {error}", file=sys.stderr)
        sys.exit(_EXIT_UNWRITTEN)
