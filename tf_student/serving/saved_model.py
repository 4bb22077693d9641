"""Writes versions of a model: SavedModels that stock TF Serving runs."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.runtime import files, leftovers
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, versions, warmup
from tf_student.serving.signatures import ServedModel


def write(
    base: str,
    model: ServedModel,
    about: metadata.Metadata,
    *,
    version: int = 0,
    warm: str = "noise",
    check: Callable[[str], None] = lambda directory: None,
) -> str:
    """Writes `<base>/<version>/` atomically, and then the server's settings.

    Removes leftovers of interrupted exports first, and continues one that wrote all but
    the settings. On an object store, `saved_model.pb` is the last file that appears.

    Args:
        base: the model's directory.
        model: the signatures and the weights.
        about: the metadata.
        version: number of the version; 0 for one more than the highest existing one.
        warm: signatures that get warm-up requests: `noise` for `serving_default`,
            `all`, or `none`. They need the extra `serving`.
        check: called with the directory of the finished version before it is renamed to
            its number, and so before a server can load it. An exception discards the
            version.

    Returns:
        The version's directory.

    Raises:
        InputError: if the version exists, the directory holds another model, another
            process exports to it, or the fused op is not built. Nothing is changed.
    """
    tf.io.gfile.makedirs(base)
    with leftovers.locked(base):
        directory = versions.choose(base, version, about.name)
        versions.remove_leftovers(base)
        if version in versions.numbers(base):
            _check_same(base, version, about)
            check(directory)
        else:
            with files.replacing_directory(directory, versions.LAST_FILE) as temporary:
                _write(temporary, model, about, warm)
                check(temporary)
        versions.write_settings(base, about.name, about.max_count)
    return directory


def _check_same(base: str, version: int, about: metadata.Metadata) -> None:
    """Checks that a killed export wrote this version, but not the settings."""
    if metadata.read(versions.directory_of(base, version)) != about:
        versions.refuse_existing(base, version)


def _write(
    directory: str, model: ServedModel, about: metadata.Metadata, warm: str
) -> None:
    signatures = model.signatures()
    warmed = {"noise": ["serving_default"], "all": list(signatures), "none": []}[warm]
    # Saving traces the signatures.
    with _operations(about.ops):
        tf.saved_model.save(model, directory, signatures=signatures)
    metadata.write(directory, about)
    if warmed and warmup.available():
        counts = (1, min(16, about.max_count))
        warmup.write(directory, about, warmed, counts)


@contextlib.contextmanager
def _operations(name: str) -> Iterator[None]:
    """Selects the operations for tracing: `stock`, or `fused` with the fused op."""
    if name == "stock":
        # A stock server cannot load the op's library.
        with ops.stock_operations():
            yield
        return
    before = ops.get_mode()
    try:
        ops.set_mode("on")
    except ValueError as error:
        raise InputError(f"`ops`: {error}") from error
    try:
        yield
    finally:
        ops.set_mode(before)
