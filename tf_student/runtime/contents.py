"""The files that say what a directory holds: a run, a pair set or an exported model."""

import os

import tensorflow as tf

from tf_student.runtime.errors import InputError

RUN, PAIRS, MODEL = "config.json", "manifest.json", "models.config"
_NOUNS = {RUN: "a run", PAIRS: "a pair set", MODEL: "an exported model"}


def check(directory: str, own: str) -> None:
    """Checks that a directory does not hold something else than what will be written.

    Args:
        directory: may be missing.
        own: the file of what will be written: `RUN`, `PAIRS` or `MODEL`. A directory
            that already has this file is accepted.

    Raises:
        InputError: if the directory holds something else.
    """
    if tf.io.gfile.exists(os.path.join(directory, own)):
        return
    for name in sorted(_NOUNS.keys() - {own}):
        if tf.io.gfile.exists(os.path.join(directory, name)):
            raise InputError(
                f"{directory} must be a new directory or hold {_NOUNS[own]}. Received: "
                f"a directory with {name}, which holds {_NOUNS[name]}."
            )
