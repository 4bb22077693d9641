"""The errors that a user can correct; the command line prints them as one line."""

import re

_NODES = re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*|\s*\[Op:\w+\].*")
# The longest message: values from a file may be longer.
_LENGTH = 1000


class InputError(ValueError):
    """A value, a file or a directory from the user is wrong.

    The message names the argument, what was expected, and what was received. It is one
    line: characters that do not print are escaped, and a very long one is shortened in
    the middle.

    Example:

    >>> SamplerConfig(calls=0)
    Traceback (most recent call last):
    tf_student.runtime.errors.InputError: `calls` must be at least 1. Received: calls=0.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(str(message)))


def one_line(message: str) -> str:
    """The message as one line of bounded length, with escapes as in `printable`.

    Example:

    >>> from tf_student.runtime.errors import one_line
    >>> len(one_line("a\\n" * 10_000))
    1505
    """
    if len(message) > _LENGTH:
        message = f"{message[: _LENGTH // 2]} ... {message[-_LENGTH // 2 :]}"
    return printable(message)


def printable(text: str) -> str:
    """The text with escapes for characters that do not print, such as line ends.

    Example:

    >>> from tf_student.runtime.errors import printable
    >>> printable("two\\nlines")
    'two\\\\nlines'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ServerError(OSError):
    """A server refused a request or did not answer. The message quotes its answer."""


class DivergedError(RuntimeError):
    """The training loss became NaN or infinite. The message names the step.

    Example:

    >>> train = TrainConfig(batch_size=4, steps=9, learning_rate=1e30)
    >>> try:
    ...     train_teacher("runs/c", unet=teacher.unet.config, train=train)
    ... except DivergedError as error:
    ...     print(error)
    The ... became ... at step ...
    """


class VerificationError(RuntimeError):
    """An exported model differs from its network. The message states the difference."""


class WorkerLost(RuntimeError):  # noqa: N818 - it reports an event, not a fault.
    """Another worker of the same run ended. The run can be resumed."""


class Preempted(RuntimeError):  # noqa: N818 - it reports an event, not a fault.
    """The process received SIGTERM and saved its state. The run can be resumed.

    Example:

    >>> try:  # doctest: +SKIP
    ...     train_teacher("runs/a")
    ... except Preempted:
    ...     print("Call train_teacher again to resume.")
    """


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type if it has none.

    It omits the names of nodes and operations, which TensorFlow puts before and after a
    message.
    """
    text = _NODES.sub("", str(error)).strip()
    return text.splitlines()[0] if text else type(error).__name__
