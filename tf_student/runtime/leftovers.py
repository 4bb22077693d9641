"""What killed processes left behind, and locks of directories in use.

One rule holds for everything that is written: write beside, rename, and let the next
run of the same command remove what a dead one left.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator

import tensorflow as tf

from tf_student.runtime import atomic, paths
from tf_student.runtime.errors import InputError


def remove(directory: str, is_own: Callable[[str], object]) -> None:
    """Removes temporary files and directories that killed processes left behind.

    Args:
        directory: where they are; it may be missing.
        is_own: whether the command writes a file or a directory of this final name.
            Temporary files of all other names stay.
    """
    for name in paths.listdir(directory):
        final = atomic.final_name(name)
        if final and is_own(final):
            remove_path(os.path.join(directory, name))


def remove_path(path: str) -> None:
    """Removes a file or a directory; another process may do so at once.

    A link is removed, never what it points to.
    """
    with contextlib.suppress(FileNotFoundError, tf.errors.NotFoundError):
        if "://" not in path:
            folder = os.path.isdir(path) and not os.path.islink(path)
            (shutil.rmtree if folder else os.remove)(path)
        elif tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)
        else:
            tf.io.gfile.remove(path)


def remove_if_empty(directory: str) -> None:
    """Removes a directory in which nothing is left, if it exists."""
    if "://" not in directory:
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    elif tf.io.gfile.isdir(directory) and not paths.listdir(directory):
        remove_path(directory)


def missing(directory: str) -> Iterator[str]:
    """The directory and those above it that do not exist."""
    while directory and not tf.io.gfile.exists(directory):
        yield directory
        directory = os.path.dirname(directory)


@contextlib.contextmanager
def making(directory: str) -> Iterator[None]:
    """Makes a directory before the block computes what it will hold.

    After an exception, the directories that were made are removed if they are empty.
    """
    made = list(missing(directory))
    tf.io.gfile.makedirs(directory)
    try:
        yield
    except BaseException:
        for folder in made:
            remove_if_empty(folder)
        raise


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Holds an exclusive lock on a directory that other processes respect.

    The kernel releases the lock when the process ends, however it ends. Directories on
    file systems that have no locks are not locked.

    Raises:
        InputError: if another process holds the lock.
    """
    with _lock(directory, fcntl.LOCK_EX) as others:
        if others:
            raise InputError(f"Another process writes to {directory}.")
        yield


@contextlib.contextmanager
def shared(directory: str) -> Iterator[bool]:
    """Holds a lock on a directory in which several processes may write at once.

    Yields:
        Whether no other process holds one, so that all temporary files are leftovers.
    """
    with _lock(directory, fcntl.LOCK_EX) as others:
        alone = not others
    with _lock(directory, fcntl.LOCK_SH):
        yield alone


@contextlib.contextmanager
def tidied(directory: str, is_own: Callable[[str], object]) -> Iterator[None]:
    """Removes what dead processes left, unless others write to the directory.

    Args:
        directory: as for `remove`.
        is_own: as for `remove`.
    """
    with shared(directory) as alone:
        if alone:
            remove(directory, is_own)
        yield


@contextlib.contextmanager
def _lock(directory: str, kind: int) -> Iterator[bool]:
    """Yields whether another process holds a lock of the directory."""
    if not os.path.isdir(directory):
        yield False
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            others = False
        except BlockingIOError:
            others = True
        except OSError:
            others = False
        yield others
    finally:
        os.close(descriptor)
