"""The errors a user can put right; the binaries print them as one line."""


class InputError(ValueError):
    """A value, file or directory that the user gave is wrong.

    The message names what was given, what was expected and what came.
    """


class ServerError(OSError):
    """A server refused a request or did not answer; the message says what it said."""


class DivergedError(RuntimeError):
    """The training loss stopped being finite; the message names the step."""


class VerificationError(RuntimeError):
    """An exported model is not what it was exported from; the message says how."""


class WorkerLost(RuntimeError):  # noqa: N818 - it reports an event, not a fault.
    """Another worker of the same run went away; the run can be continued."""


class Preempted(RuntimeError):  # noqa: N818 - it reports an event, not a fault.
    """SIGTERM arrived; everything was saved and the run can be continued."""


def first_line(error: BaseException) -> str:
    """What an error says, without its details; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
