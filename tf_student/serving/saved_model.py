"""Writes versions of a model: SavedModels that stock TF Serving runs."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, version_writer, versions, warmup
from tf_student.serving.signatures import ServedModel
from tf_student.serving.version_writer import Fill


def write(
    base: str,
    model: ServedModel,
    about: metadata.Metadata,
    *,
    version: int = 0,
    warm: str = "noise",
    check: Fill = lambda directory: None,
) -> str:
    """Writes `<base>/<version>/` atomically, and then the server's settings.

    Removes leftovers of interrupted exports from `base` first, and continues one that
    wrote the same version without the settings. On an object store,
    where directories cannot be renamed, `saved_model.pb` is the last file that appears,
    and the settings name the version only after it.

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
    fills = {versions.SAVED_MODEL: fill_with(model, about, warm, check)}
    return version_writer.write(base, about, fills, version)[versions.SAVED_MODEL]


def fill_with(
    model: ServedModel, about: metadata.Metadata, warm: str, check: Fill
) -> Fill:
    """A function that writes a SavedModel into a directory and checks it.

    Args:
        model: the signatures and the weights.
        about: the metadata.
        warm: as for `write`.
        check: as for `write`.
    """

    def fill(directory: str) -> None:
        _write(directory, model, about, warm)
        check(directory)

    return fill


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
