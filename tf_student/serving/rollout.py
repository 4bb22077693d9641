"""The command `rollout`: moves the labels to a version that servers have loaded."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence

from tf_student.runtime import leftovers
from tf_student.runtime.errors import InputError, ServerError
from tf_student.serving import metadata, versions
from tf_student.serving.model_list import ModelList

# Asks a server for the states of a model's versions: from the model's name to
# `AVAILABLE`, `LOADING`, ... by number. A failure is `END: ` with the server's reason.
AskServer = Callable[[str], Mapping[int, str]]

_PAUSE = 1.0


@dataclasses.dataclass(frozen=True)
class Rollout:
    """The result of a rollout.

    Attributes:
        labels: numbers of versions by label.
        dropped: versions that the server unloads.
        changed: whether there was anything to do.
    """

    labels: Mapping[str, int]
    dropped: tuple[int, ...]
    changed: bool

    def text(self) -> str:
        """The result as sentences for the terminal."""
        labels = ", ".join(
            f"{label} is version {v}" for label, v in self.labels.items()
        )
        if not self.changed:
            return f"There is nothing to roll out: {labels}."
        return "\n".join(
            [
                f"The labels have moved: {labels}.",
                *(f"The server unloads version {version}." for version in self.dropped),
            ]
        )


def roll_out(
    directory: str, servers: Sequence[AskServer] = (), *, timeout: float = 600.0
) -> Rollout:
    """Moves the labels of a model to its last two versions and drops older ones.

    A server refuses a label for a version that it has not loaded. So this waits until
    every server has loaded both versions, which the last export listed for it.

    Args:
        directory: of the model, into which it was exported.
        servers: ask one server each for the states of a model's versions; none for a
            model that no server has loaded.
        timeout: seconds to wait for the servers.

    Raises:
        InputError: if the directory has no exported model, or an export changes it at
            the same time.
        ServerError: if a server does not answer, cannot load a version, or has not
            loaded it in time. The labels have not moved.
    """
    before, name = _read(directory)
    after = before.rolled_out()
    end = time.monotonic() + timeout
    for ask in servers:
        for version in after.versions:
            _wait(ask, name, version, end, timeout)
    if after != before:
        with leftovers.locked(directory):
            if _read(directory) != (before, name):
                raise InputError(
                    f"{directory} changed meanwhile; run the same command again."
                )
            versions.write_list(directory, name, after)
    dropped = tuple(v for v in before.versions if v not in after.versions)
    return Rollout(after.labels, dropped, after != before)


def _read(directory: str) -> tuple[ModelList, str]:
    """The versions and labels that servers read, and the model's name."""
    listed, existing = versions.read_list(directory), versions.numbers(directory)
    if not listed or not set(listed.versions) & set(existing):
        raise InputError(
            f"`export_dir` must hold versions of a model and {versions.MODELS}, which "
            f"`tf-student export` writes. Received: export_dir={directory}."
        )
    missing = [v for v in listed.rolled_out().versions if v not in existing]
    if missing:
        raise InputError(
            f"{os.path.join(directory, versions.MODELS)} lists version {missing[0]}, "
            "which does not exist; the next `tf-student export` removes it."
        )
    newest = os.path.join(directory, str(listed.versions[-1]))
    return listed, metadata.read(newest).name


def _wait(ask: AskServer, name: str, version: int, end: float, timeout: float) -> None:
    """Waits until a server has loaded a version."""
    while (state := ask(name).get(version, "unknown")) != "AVAILABLE":
        if state.startswith("END: "):
            raise ServerError(
                f"A server could not load version {version} of {name}: "
                f"{state.removeprefix('END: ')} The labels have not moved."
            )
        if time.monotonic() > end:
            raise ServerError(
                f"A server must have loaded version {version} of {name} within "
                f"{timeout:g} seconds (`timeout`). Received: its state is {state}. The "
                "labels have not moved."
            )
        time.sleep(_PAUSE)
