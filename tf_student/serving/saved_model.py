"""A versioned SavedModel that stock TF Serving runs without this package."""

import contextlib
from collections.abc import Callable

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.runtime import files
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
    """Writes `<base>/<version>/`, which appears whole, and the server's settings.

    What exports that were killed left in `base` is removed first.

    Args:
        base: the model's directory.
        model: what it answers.
        about: where it comes from.
        version: 0 for one more than the highest there.
        warm: which signatures get warm-up requests: `noise` for `serving_default`,
            `all`, or `none`. Without the extra `serving` none do.
        check: sees the finished version before a server can; if it raises, there is
            none.

    Returns:
        The version's directory.

    Raises:
        InputError: if the version exists, the directory holds another model, another
            process exports to it, or the fused op is asked for and missing. Everything
            is left as it was.
    """
    tf.io.gfile.makedirs(base)
    with files.locked(base):
        directory = versions.choose(base, version, about.name)
        versions.remove_leftovers(base)
        with files.replacing_directory(directory) as temporary:
            _write(temporary, model, about, warm)
            check(temporary)
        versions.write_settings(base, about.name, about.max_count)
    return directory


def _write(directory: str, model: ServedModel, about: metadata.Metadata, warm: str):
    signatures = model.signatures()
    warmed = {"noise": ["serving_default"], "all": list(signatures), "none": []}[warm]
    # Signatures are traced here.
    with _operations(about.ops):
        tf.saved_model.save(model, directory, signatures=signatures)
    metadata.write(directory, about)
    if warmed and warmup.available():
        counts = (1, min(16, about.max_count))
        warmup.write(directory, about.name, about.image_shape, warmed, counts)


@contextlib.contextmanager
def _operations(which: str):
    """What the graph is traced with; a stock server has no library of ours."""
    if which == "stock":
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
