"""What killed processes left behind, and locks of directories in use.

One rule holds for everything that is written: write beside, rename, and let the next
run of the same command remove what a dead one left.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from tf_student.runtime import atomic, paths
from tf_student.runtime.errors import InputError

# Seconds after which a temporary file counts as left behind where no lock tells whether
# its process lives.
_LONG = 24 * 3600.0


def remove(directory: str, is_own: Callable[[str], object], age: float = 0.0) -> None:
    """Removes temporary files and directories that killed processes left behind.

    Args:
        directory: where they are; it may be missing.
        is_own: whether the command writes a file or a directory of this final name.
            Temporary files of all other names stay.
        age: seconds since their last change; later ones stay.
    """
    for name in paths.listdir(directory):
        final, path = atomic.final_name(name), os.path.join(directory, name)
        if final and is_own(final) and not (age and _is_younger(path, age)):
            remove_path(path)


def _is_younger(path: str, age: float) -> bool:
    try:
        changed = tf.io.gfile.stat(path).mtime_nsec / 1e9
    except tf.errors.OpError:  # Another process has removed it.
        return True
    # Some file systems do not know it.
    return not changed or time.time() - changed < age


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
    with _opened(directory) as descriptor:
        if _lock(descriptor, fcntl.LOCK_EX) is False:
            raise InputError(f"Another process writes to {directory}.")
        yield


@contextlib.contextmanager
def shared(
    directory: str, tidy: Callable[[float], object] = lambda age: None
) -> Iterator[None]:
    """Holds a lock on a directory in which several processes may write at once.

    Args:
        directory: where they write.
        tidy: removes what dead processes left, if it is older than a number of seconds:
            0 if no other process holds the lock, and a day if there are no locks, as on
            object stores. It is not called if another process holds the lock.
    """
    with _opened(directory) as descriptor:
        alone = _lock(descriptor, fcntl.LOCK_EX)
        # Before others can share the lock and write.
        if alone is not False:
            tidy(0.0 if alone else _LONG)
        # Another process may hold the lock for a moment, to tidy.
        for _ in range(50):
            if _lock(descriptor, fcntl.LOCK_SH) is not False:
                break
            time.sleep(0.1)
        yield


@contextlib.contextmanager
def tidied(directory: str, is_own: Callable[[str], object]) -> Iterator[None]:
    """Removes what dead processes left, unless others write to the directory.

    Args:
        directory: as for `remove`.
        is_own: as for `remove`.
    """
    with shared(directory, lambda age: remove(directory, is_own, age)):
        yield


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int | None]:
    """Yields a descriptor of a local directory, and None for any other."""
    if not os.path.isdir(directory):
        yield None
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int | None, kind: int) -> bool | None:
    """Takes a lock, or changes its kind; returns None where there are no locks."""
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
