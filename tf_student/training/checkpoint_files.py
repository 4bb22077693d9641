"""The files of a run's checkpoints: which are whole, in which order, and which go.

TensorFlow's `CheckpointManager` removes the files that its list `checkpoint` names,
wherever they are, and finds them by patterns. Here the files of a directory are listed,
and the list only says in which order they were written.
"""

import os
import re
from collections.abc import Iterable, Sequence

import tensorflow as tf

from tf_student.runtime import files, leftovers, paths

_LIST = "checkpoint"
_INDEX = re.compile(r"(ckpt-\d{1,18})\.index")
_DATA = re.compile(r"(ckpt-\d{1,18})\.data-\d{5}-of-\d{5}")
# What TensorFlow writes before it renames it.
_UNFINISHED = re.compile(
    r"ckpt-\d{1,18}(_temp|\.(index|data-\d{5}-of-\d{5})\.tempstate\d+)"
    r"|checkpoint\.tmp[0-9a-f]{32}"
)
# The list is text; a power failure may leave any bytes of it.
_LISTED = re.compile(rb'all_model_checkpoint_paths: "(?:[^"\n]*/)?(ckpt-\d{1,18})"')


class CheckpointFiles:
    """The checkpoints `ckpt-<step>` in a directory.

    Args:
        directory: may be missing.
    """

    def __init__(self, directory: str):
        self.directory = directory

    def path(self, step: int) -> str:
        """The path of a step's checkpoint, without the suffixes of its files."""
        return os.path.join(self.directory, f"ckpt-{step}")

    def newest_first(self) -> list[str]:
        """The paths of all finished checkpoints, the last written one first.

        The list is written after a checkpoint and may be lost or damaged. The index
        file is the last file of a checkpoint to be written, so a checkpoint that is
        not listed and has a truncated index was never finished.
        """
        return [os.path.join(self.directory, name) for name in self._newest_first()]

    def _newest_first(self) -> list[str]:
        names = set(_matches(_INDEX, paths.listdir(self.directory)))
        listed = [name for name in self._listed() if name in names]
        last = max(map(step_of, listed), default=-1)
        others = sorted(filter(self._is_whole, names - set(listed)), key=step_of)
        # They were written after the list, or their places in it are lost.
        newer = [name for name in others if step_of(name) > last]
        older = [name for name in others if step_of(name) <= last]
        return [*older, *listed, *newer][::-1]

    def keep(self, step: int, count: int) -> None:
        """Lists a checkpoint that was just written, and removes the oldest ones.

        Args:
            step: of the checkpoint.
            count: number of checkpoints to keep, the new one included.
        """
        name = f"ckpt-{step}"
        others = [other for other in self._newest_first() if other != name]
        kept = [name, *others[: count - 1]]
        self._write_list(kept)
        self._remove(others[count - 1 :])

    def remove_leftovers(self) -> None:
        """Removes what a killed process left of a checkpoint that it was writing."""
        names = paths.listdir(self.directory)
        finished = set(_matches(_INDEX, names))
        for name in names:
            data = _DATA.fullmatch(name)
            if _UNFINISHED.fullmatch(name) or (data and data[1] not in finished):
                leftovers.remove_path(os.path.join(self.directory, name))
        leftovers.remove(self.directory, {_LIST}.__contains__)

    def _listed(self) -> list[str]:
        """The names in the list, the oldest first; none if it is missing or damaged."""
        path = os.path.join(self.directory, _LIST)
        try:
            content = b"".join(files.blocks(path))
        except tf.errors.OpError:
            return []
        return [name.decode() for name in _LISTED.findall(content)]

    def _write_list(self, newest_first: Sequence[str]) -> None:
        lines = [f'model_checkpoint_path: "{newest_first[0]}"']
        for name in reversed(newest_first):
            index = os.path.join(self.directory, f"{name}.index")
            written = tf.io.gfile.stat(index).mtime_nsec / 1e9
            lines.append(f'all_model_checkpoint_paths: "{name}"')
            # Without it, a `CheckpointManager` forgets the checkpoint.
            lines.append(f"all_model_checkpoint_timestamps: {written:.6f}")
        files.write_text(os.path.join(self.directory, _LIST), "\n".join(lines) + "\n")

    def _is_whole(self, name: str) -> bool:
        try:
            tf.train.load_checkpoint(os.path.join(self.directory, name))
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError):
            return False
        return True

    def _remove(self, names: Iterable[str]) -> None:
        removed = set(names)
        for name in paths.listdir(self.directory):
            match = _INDEX.fullmatch(name) or _DATA.fullmatch(name)
            if match and match[1] in removed:
                leftovers.remove_path(os.path.join(self.directory, name))


def _matches(pattern: re.Pattern[str], names: Iterable[str]) -> Iterable[str]:
    """The first groups of the names that match a pattern."""
    return (match[1] for name in names if (match := pattern.fullmatch(name)))


def step_of(path: str) -> int:
    """The step of a checkpoint's path."""
    return int(path.rpartition("ckpt-")[2])
