"""The shard index: which shards of a pair set are finished, for any number of workers.

`manifest.json` describes the set from the start and gets the shards' digests at the
end. Until then, each finished shard has a completion marker in `completed/`, so workers
never write different content to the same file and need no locks. All files are written
atomically.
"""

import dataclasses
import os
from collections.abc import Iterable

import tensorflow as tf

from tf_student.pairs import manifests, shard_files, shards
from tf_student.runtime import contents, files, leftovers, paths
from tf_student.runtime.errors import InputError

_COMPLETED = "completed"
# Version 0.1 kept its markers in `receipts/`; its unfinished sets are continued.
_FOLDERS = (_COMPLETED, "receipts")


def begin(directory: str, manifest: manifests.Manifest) -> None:
    """Writes the manifest of a new set.

    Raises:
        InputError: if the directory holds shards but no manifest.
    """
    if _has_manifest(directory):
        return
    tf.io.gfile.makedirs(directory)
    names = {shard.name for shard in manifest.shards} | set(_FOLDERS)
    if strays := sorted(names.intersection(paths.listdir(directory))):
        # Another worker of the same run may just have begun.
        if _has_manifest(directory):
            return
        raise InputError(
            f"{directory} holds {strays[0]} but no {manifests.MANIFEST} that describes "
            "it. Choose another directory, or empty this one."
        )
    _write(directory, manifest)


def _write(directory: str, manifest: manifests.Manifest) -> None:
    """Writes the manifest, unless another worker completed the set meanwhile."""
    try:
        manifests.write(directory, manifest)
    # That worker removed the temporary file as one of a killed worker.
    except (tf.errors.NotFoundError, FileNotFoundError):
        if not (_has_manifest(directory) and manifests.read(directory).complete):
            raise


def adopt(directory: str, manifest: manifests.Manifest) -> None:
    """Continues the set in the directory, if there is one.

    Raises:
        InputError: if `directory` holds another pair set, or something else.
    """
    contents.check(directory, manifests.MANIFEST)
    if not _has_manifest(directory):
        return
    confirm(directory, manifest)
    old = manifests.read(directory)
    if old.complete and not all(_has_full_size(directory, s) for s in old.shards):
        _reopen(directory, old)


def _has_manifest(directory: str) -> bool:
    return tf.io.gfile.exists(os.path.join(directory, manifests.MANIFEST))


def confirm(directory: str, manifest: manifests.Manifest) -> None:
    """Raises an `InputError` if `directory` holds another pair set."""
    old = manifests.read(directory)
    if difference := manifests.differences(old, manifest):
        raise InputError(f"{directory} holds another pair set. {difference}")


def missing(directory: str, among: Iterable[manifests.Shard]) -> list[manifests.Shard]:
    """Returns those of the shards that are not finished."""
    if not _has_manifest(directory):
        return list(among)
    if manifests.read(directory).complete:
        return []
    return [shard for shard in among if not _is_finished(directory, shard)]


def _is_finished(directory: str, shard: manifests.Shard) -> bool:
    for folder in _FOLDERS:
        path = os.path.join(directory, folder, f"{shard.name}.json")
        if marker := _read_marker(path, shard):
            return _has_full_size(directory, marker)
    path = os.path.join(directory, shard.name)
    if tf.io.gfile.exists(path) and shard_files.is_whole(path, shard):
        # Its writer was stopped between writing the shard and writing the marker.
        mark_completed(directory, with_digest(directory, shard))
        return True
    return False


def mark_completed(directory: str, shard: manifests.Shard) -> None:
    """Writes the completion marker of a finished shard."""
    folder = os.path.join(directory, _COMPLETED)
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, f"{shard.name}.json")
    files.write_json(path, dataclasses.asdict(shard))


def finish(directory: str, manifest: manifests.Manifest) -> manifests.Manifest:
    """Completes the manifest if all shards are finished; the last worker does it.

    Returns:
        The manifest, complete or not.
    """
    old = manifests.read(directory)
    if old.complete:
        _tidy(directory)
        return old
    markers = _markers(directory, manifest)
    if any(shard.name not in markers for shard in manifest.shards):
        # Another worker may have completed the set and removed the markers meanwhile.
        return manifests.read(directory)
    finished = tuple(markers[shard.name] for shard in manifest.shards)
    manifest = dataclasses.replace(manifest, shards=finished)
    _write(directory, manifest)
    _tidy(directory)
    return manifest


def _tidy(directory: str) -> None:
    """Removes markers and temporary files; another worker may do so at once."""
    names = {shard.name for shard in manifests.read(directory).shards}
    leftovers.remove(directory, (names | {manifests.MANIFEST}).__contains__)
    own = {f"{name}.json" for name in names}
    for folder in (os.path.join(directory, name) for name in _FOLDERS):
        leftovers.remove(folder, own.__contains__)
        for name in own.intersection(paths.listdir(folder)):
            leftovers.remove_path(os.path.join(folder, name))
        leftovers.remove_if_empty(folder)


def forget(directory: str, manifest: manifests.Manifest, names: Iterable[str]) -> None:
    """Removes shards of the set with their markers, so that they are re-generated.

    Raises:
        InputError: if `directory` holds another pair set; nothing is removed then.
    """
    names = list(names)
    if not names:
        return
    confirm(directory, manifest)
    if strange := sorted(set(names) - {shard.name for shard in manifest.shards}):
        raise InputError(f"{directory} has no shard called {strange[0]!r}.")
    old = manifests.read(directory)
    if old.complete:
        _reopen(directory, old)
    for name in names:
        markers = [os.path.join(folder, f"{name}.json") for folder in _FOLDERS]
        for path in (name, *markers):
            leftovers.remove_path(os.path.join(directory, path))


def _reopen(directory: str, manifest: manifests.Manifest) -> None:
    """Makes a complete set unfinished; shards of full size stay."""
    for shard in manifest.shards:
        path = os.path.join(directory, shard.name)
        if _has_full_size(directory, shard):
            mark_completed(directory, shard)
        else:
            leftovers.remove_path(path)
    blank = [dataclasses.replace(s, sha256="", size=0) for s in manifest.shards]
    manifests.write(directory, dataclasses.replace(manifest, shards=tuple(blank)))


def finished(
    directory: str, manifest: manifests.Manifest
) -> dict[str, manifests.Shard]:
    """Existing finished shards by name, with the digests that were written first."""
    recorded = (
        {shard.name: shard for shard in manifest.shards}
        if manifest.complete
        else _markers(directory, manifest)
    )
    return {
        name: shard
        for name, shard in recorded.items()
        if tf.io.gfile.exists(os.path.join(directory, name))
    }


def count(directory: str) -> int:
    """Number of finished shards."""
    manifest = manifests.read(directory)
    return (
        len(manifest.shards)
        if manifest.complete
        else len(_markers(directory, manifest))
    )


def with_digest(
    directory: str, shard: manifests.Shard, path: str | None = None
) -> manifests.Shard:
    """Returns the shard with digest and size of its file, or of the file at `path`."""
    sha256, size = files.sha256(path or os.path.join(directory, shard.name))
    return dataclasses.replace(shard, sha256=sha256, size=size)


def _markers(
    directory: str, manifest: manifests.Manifest
) -> dict[str, manifests.Shard]:
    """The finished shards of an unfinished set by name; other files are ignored."""
    planned = {f"{shard.name}.json": shard for shard in manifest.shards}
    markers = {}
    # In reverse, because a marker in `completed/` replaces the older one.
    for folder in reversed(_FOLDERS):
        folder = os.path.join(directory, folder)
        for name in planned.keys() & set(paths.listdir(folder)):
            if marker := _read_marker(os.path.join(folder, name), planned[name]):
                markers[marker.name] = marker
    return markers


def _read_marker(path: str, planned: manifests.Shard) -> manifests.Shard | None:
    """None without a marker; a worker that completes the set removes markers.

    Raises:
        InputError: if the marker is damaged, or of another shard.
    """
    try:
        values = files.read_object(path)
    except tf.errors.NotFoundError:
        return None
    try:
        (marker,) = shards.parse([values], [planned])
    except InputError as error:
        raise InputError(
            f"{path} is damaged: {error} Remove it to re-generate the shard."
        ) from error
    return marker


def _has_full_size(directory: str, shard: manifests.Shard) -> bool:
    path = os.path.join(directory, shard.name)
    return shard.written and (
        tf.io.gfile.exists(path) and tf.io.gfile.stat(path).length == shard.size
    )
