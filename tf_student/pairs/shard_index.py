"""Which shards of a pair set are there, with any number of workers and no locks.

`manifest.json` says from the start what the set will be; digests come into it at the
end. Until then each finished shard has a receipt of its own below `receipts/`, so
workers never write the same file with different content. All files appear whole.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterable

import tensorflow as tf

from tf_student.pairs import manifests
from tf_student.runtime import files
from tf_student.runtime.errors import InputError

_RECEIPTS = "receipts"


def begin(directory: str, manifest: manifests.Manifest) -> None:
    """Says what the set will be, where nothing says it yet.

    Raises:
        InputError: if there are shards of a set that nothing is known of.
    """
    if _begun(directory):
        return
    tf.io.gfile.makedirs(directory)
    names = {shard.name for shard in manifest.shards} | {_RECEIPTS}
    if strays := sorted(names & set(_names(directory))):
        # Another worker of the same run may just have begun.
        if _begun(directory):
            return
        raise InputError(
            f"{directory} holds {strays[0]} and no {manifests.MANIFEST} that says what "
            "it is. Choose another directory, or remove what is in this one."
        )
    _write(directory, manifest)


def _write(directory: str, manifest: manifests.Manifest) -> None:
    """Writes the manifest, unless another worker completed the set meanwhile."""
    try:
        manifests.write(directory, manifest)
    # That worker took the unfinished file for one that a killed worker left.
    except (tf.errors.NotFoundError, FileNotFoundError):
        if not (_begun(directory) and manifests.read(directory).complete):
            raise


def adopt(directory: str, manifest: manifests.Manifest) -> None:
    """Takes over what an earlier run left, if there is anything.

    Raises:
        InputError: if `directory` holds another pair set.
    """
    if not _begun(directory):
        return
    confirm(directory, manifest)
    old = manifests.read(directory)
    if old.complete and not all(_present(directory, s) for s in old.shards):
        _reopen(directory, old)


def _names(directory: str) -> list[str]:
    return [name.rstrip("/") for name in tf.io.gfile.listdir(directory)]


def _begun(directory: str) -> bool:
    return tf.io.gfile.exists(os.path.join(directory, manifests.MANIFEST))


def confirm(directory: str, manifest: manifests.Manifest) -> None:
    """Raises an `InputError` if `directory` holds another pair set."""
    old = manifests.read(directory)
    if difference := manifests.differences(old, manifest):
        raise InputError(f"{directory} holds another pair set. {difference}")


def missing(directory: str, shards: Iterable[manifests.Shard]) -> list[manifests.Shard]:
    """Those of the shards that are to be made."""
    if not _begun(directory):
        return list(shards)
    if manifests.read(directory).complete:
        return []
    return [shard for shard in shards if not _is_there(directory, shard)]


def _is_there(directory: str, shard: manifests.Shard) -> bool:
    receipt = _receipt(os.path.join(directory, _RECEIPTS, f"{shard.name}.json"))
    if receipt:
        return _present(directory, receipt)
    if tf.io.gfile.exists(os.path.join(directory, shard.name)):
        # Its writer was stopped between the shard and the receipt.
        enter(directory, sealed(directory, shard))
        return True
    return False


def enter(directory: str, shard: manifests.Shard) -> None:
    """Leaves the receipt of a finished shard."""
    folder = os.path.join(directory, _RECEIPTS)
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, f"{shard.name}.json")
    files.write_json(path, dataclasses.asdict(shard))


def finish(directory: str, manifest: manifests.Manifest) -> manifests.Manifest:
    """Completes the manifest if every shard is there; whoever comes last does it.

    Returns:
        The manifest, complete or not.
    """
    old = manifests.read(directory)
    if old.complete:
        _tidy(directory)
        return old
    entered = _receipts(directory)
    if any(shard.name not in entered for shard in manifest.shards):
        # Another worker may have completed it meanwhile, and cleared the receipts.
        return manifests.read(directory)
    shards = tuple(entered[shard.name] for shard in manifest.shards)
    manifest = dataclasses.replace(manifest, shards=shards)
    _write(directory, manifest)
    _tidy(directory)
    return manifest


def _tidy(directory: str) -> None:
    """Removes what a complete set has no use for; so may another worker."""
    shards = manifests.read(directory).shards
    files.remove_leftovers(directory, [manifests.MANIFEST, *(s.name for s in shards)])
    folder = os.path.join(directory, _RECEIPTS)
    with contextlib.suppress(tf.errors.OpError):
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)


def forget(directory: str, manifest: manifests.Manifest, names: Iterable[str]) -> None:
    """Removes shards of this set, so that they are missing.

    Raises:
        InputError: if `directory` holds another pair set; nothing is removed then.
    """
    names = list(names)
    if not names:
        return
    confirm(directory, manifest)
    old = manifests.read(directory)
    if old.complete:
        _reopen(directory, old)
    for name in names:
        for path in (name, os.path.join(_RECEIPTS, f"{name}.json")):
            path = os.path.join(directory, path)
            if tf.io.gfile.exists(path):
                tf.io.gfile.remove(path)


def _reopen(directory: str, manifest: manifests.Manifest) -> None:
    """Makes a complete set one that is being made, with the shards that are there."""
    for shard in manifest.shards:
        path = os.path.join(directory, shard.name)
        if _present(directory, shard):
            enter(directory, shard)
        elif tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)
    blank = [dataclasses.replace(s, sha256="", size=0) for s in manifest.shards]
    manifests.write(directory, dataclasses.replace(manifest, shards=tuple(blank)))


def finished(
    directory: str, manifest: manifests.Manifest
) -> dict[str, manifests.Shard]:
    """The shards that are there, with their digests as first written, by name."""
    entered = (
        {shard.name: shard for shard in manifest.shards}
        if manifest.complete
        else _receipts(directory)
    )
    return {
        name: shard
        for name, shard in entered.items()
        if tf.io.gfile.exists(os.path.join(directory, name))
    }


def count(directory: str) -> int:
    """Number of shards that are finished."""
    manifest = manifests.read(directory)
    return len(manifest.shards) if manifest.complete else len(_receipts(directory))


def sealed(
    directory: str, shard: manifests.Shard, path: str | None = None
) -> manifests.Shard:
    """The shard with the digest and size of its file, or of the one at `path`."""
    sha256, size = files.sha256(path or os.path.join(directory, shard.name))
    return dataclasses.replace(shard, sha256=sha256, size=size)


def _receipts(directory: str) -> dict[str, manifests.Shard]:
    paths = tf.io.gfile.glob(os.path.join(directory, _RECEIPTS, "*.json"))
    return {shard.name: shard for shard in map(_receipt, paths) if shard}


def _receipt(path: str) -> manifests.Shard | None:
    """None if there is none; a worker that completes the set takes them away."""
    try:
        return manifests.Shard(**files.read_json(path))
    except tf.errors.NotFoundError:
        return None


def _present(directory: str, shard: manifests.Shard) -> bool:
    path = os.path.join(directory, shard.name)
    return shard.written and (
        tf.io.gfile.exists(path) and tf.io.gfile.stat(path).length == shard.size
    )
