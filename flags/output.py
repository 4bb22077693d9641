"""The output of commands, to a reader that may be gone."""

import contextlib
import os
import sys
from collections.abc import Iterator

# What a shell says of a program that SIGPIPE ended.
EXIT_UNREAD = 141
_EXIT_UNWRITTEN = 2
_STDOUT = 1


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Writes everything out before the process ends, or ends it if that cannot be.

    A reader that has seen enough, as `head` has, is no error of ours: then it ends
    without a word.
    """
    try:
        try:
            yield
        finally:
            # Where stdout is closed there is no sys.stdout.
            print(end="", flush=True)
    except OSError as error:
        # Python flushes once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        if isinstance(error, BrokenPipeError):
            sys.exit(EXIT_UNREAD)
        print(f"tf-student: the output cannot be written: {error}", file=sys.stderr)
        sys.exit(_EXIT_UNWRITTEN)
