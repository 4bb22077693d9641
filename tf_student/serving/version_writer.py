"""Writes a version of a model in one or several formats at once."""

import contextlib
from collections.abc import Callable, Mapping

import tensorflow as tf

from tf_student.runtime import files, leftovers
from tf_student.serving import metadata, versions

# Fills a directory.
Fill = Callable[[str], None]


def write(
    base: str, about: metadata.Metadata, fills: Mapping[str, Fill], version: int = 0
) -> dict[str, str]:
    """Writes the directories of a version, and then the server's settings.

    Directories appear only when all of them are filled, each atomically; an exception
    discards them all. Removes leftovers of interrupted exports first.

    Args:
        base: the model's directory.
        about: the metadata.
        fills: by the name of a format, a function that fills a temporary directory.
        version: number of the version; 0 for one more than the highest existing one of
            these formats.

    Returns:
        The version's directory by format.

    Raises:
        InputError: as `versions.choose` does, or if another process exports to `base`.
    """
    tf.io.gfile.makedirs(base)
    with leftovers.locked(base):
        number = versions.choose_number(base, version, about.name, fills)
        versions.remove_leftovers(base)
        if versions.SAVED_MODEL in fills and number in versions.numbers(base):
            _remove_unsettled(base, number, about)
        directories = {form: versions.place(base, form, number) for form in fills}
        try:
            with contextlib.ExitStack() as stack:
                for form, fill in fills.items():
                    last = versions.last_file(form, about.name)
                    whole = files.replacing_directory(directories[form], last)
                    fill(stack.enter_context(whole))
        finally:
            for form in set(fills) - {versions.SAVED_MODEL}:
                leftovers.remove_if_empty(versions.folder(base, form))
        if versions.SAVED_MODEL in fills:
            versions.write_settings(base, about.name, about.max_count)
    return directories


def _remove_unsettled(base: str, number: int, about: metadata.Metadata) -> None:
    """Removes a SavedModel that a killed export left without settings.

    Raises:
        InputError: if another network was exported.
    """
    directory = versions.directory_of(base, number)
    if metadata.read(directory) != about:
        versions.refuse_existing(base, number)
    leftovers.remove_path(directory)
