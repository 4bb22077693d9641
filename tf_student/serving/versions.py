"""The directory of a model for ModelServer: numbered versions and settings.

Versions in other formats are in folders beside those of SavedModels, which a server
ignores because their names are not numbers: `litert/1/digits.tflite`.
"""

import os
from collections.abc import Collection
from typing import NoReturn

import tensorflow as tf

from tf_student.runtime import atomic, contents, files, leftovers, paths
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, model_list

MODELS, BATCHING = contents.MODEL, "batching.config"
# The file without which a server cannot load a version.
LAST_FILE = "saved_model.pb"
SAVED_MODEL = "saved_model"
# The ending of the file of another format, whose folder has the format's name.
ENDINGS = {"litert": ".tflite", "onnx": ".onnx"}
# A page: a folder of files.
WEB = "web"
_LAST_FILES = {SAVED_MODEL: LAST_FILE, WEB: "index.html"}

_BATCHING = """\
# For `tensorflow_model_server --enable_batching --batching_parameters_file`; exports do
# not overwrite it. With batching, the server joins requests along the first dimension
# of their inputs, so it supports only `serving_default`: seeds are scalars.
max_batch_size {{ value: {size} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
"""


def numbers(base: str, form: str = SAVED_MODEL) -> list[int]:
    """The existing versions in a format, ascending; other names are ignored.

    Also ignores versions that an export to an object store did not finish.
    """
    return sorted(_names(base, form))


def directory_of(base: str, version: int, form: str = SAVED_MODEL) -> str:
    """The directory of a version, which may exist as `00000001`."""
    name = _names(base, form).get(version, str(version))
    return os.path.join(folder(base, form), name)


def _names(base: str, form: str = SAVED_MODEL) -> dict[int, str]:
    """The names of the finished versions; servers accept zeros before a number."""
    existing = set(paths.listdir(folder(base, form)))
    names = set(filter(_is_number, existing)) - _unfinished(base, form, existing)
    return {int(name): name for name in sorted(names, key=len, reverse=True)}


def _is_number(name: str) -> bool:
    # Servers read int64, and Python refuses to read numbers of thousands of digits.
    return name.isascii() and name.isdigit() and len(name) < 20


def _unfinished(base: str, form: str, names: set[str]) -> set[str]:
    """Versions of which only a part has left its temporary directory."""
    begun = {name.rpartition(atomic.MARK)[0] for name in names if atomic.MARK in name}
    # A name that every version in the format has, or its ending.
    last = _LAST_FILES.get(form) or ENDINGS[form]
    return {
        name
        for name in names & begun
        if _is_number(name)
        and not any(
            file.endswith(last)
            for file in paths.listdir(os.path.join(folder(base, form), name))
        )
    }


def newest(directory: str) -> str | None:
    """The path of the SavedModel in `directory`, or of its newest version.

    Ignores versions without a SavedModel.

    Returns:
        `directory`, or its version of the highest number; None without a SavedModel.
    """
    names = _names(directory)
    below = (os.path.join(directory, names[n]) for n in sorted(names, reverse=True))
    models = filter(tf.saved_model.contains_saved_model, (directory, *below))
    return next(models, None)


def choose(base: str, version: int, name: str) -> str:
    """The directory of a new version, as a SavedModel; see `choose_number`."""
    number = choose_number(base, version, name, [SAVED_MODEL])
    return place(base, SAVED_MODEL, number)


def choose_number(base: str, version: int, name: str, forms: Collection[str]) -> int:
    """The number of a new version.

    Args:
        base: the model's directory.
        version: number of the version; 0 for one more than the highest existing one of
            these formats.
        name: of the model.
        forms: names of the formats.

    Raises:
        InputError: if the version exists already, unless a killed export left it
            without settings; if `base` holds another model or something else; or if
            TensorFlow could not read weights below it.
    """
    paths.check_restorable(base)
    contents.check(base, MODELS)
    if tf.io.gfile.exists(base) and not tf.io.gfile.isdir(base):
        raise InputError(f"`export_dir` must be a folder. Received: export_dir={base}.")
    highest = 0
    for form in forms:
        existing = numbers(base, form)
        unsettled = form == SAVED_MODEL and _is_unsettled(base, version)
        if version in existing and not unsettled:
            refuse_existing(folder(base, form), version)
        highest = max([highest, *existing])
    _check_name(base, name)
    return version or highest + 1


def _check_name(base: str, name: str) -> None:
    """Checks that the newest version of every format is of the model."""
    others = set()
    if existing := numbers(base):
        others.add(metadata.read(directory_of(base, existing[-1])).name)
    for form, ending in ENDINGS.items():
        if existing := numbers(base, form):
            names = paths.listdir(directory_of(base, existing[-1], form))
            others |= {n.removesuffix(ending) for n in names if n.endswith(ending)}
    if others - {name}:
        raise InputError(
            f"{base} holds versions of another model. Expected: "
            f"name={min(others - {name})}, received: name={name}."
        )


def folder(base: str, form: str) -> str:
    """The folder of the versions in a format."""
    return base if form == SAVED_MODEL else os.path.join(base, form)


def place(base: str, form: str, number: int) -> str:
    """The directory of a new version in a format."""
    return os.path.join(folder(base, form), str(number))


def last_file(form: str, name: str) -> str:
    """The file without which a version in a format is unfinished."""
    return _LAST_FILES.get(form) or name + ENDINGS[form]


def refuse_existing(base: str, version: int) -> NoReturn:
    """Raises the `InputError` of a version that exists already."""
    raise InputError(
        f"`version` must not exist yet in {base}. Received: version={version}."
    )


def _is_unsettled(base: str, version: int) -> bool:
    """Whether `models.config` is older than a version, as after a killed export."""
    listed = read_list(base)
    return listed is None or version > max(listed.versions, default=0)


def remove_leftovers(base: str) -> None:
    """Removes what interrupted exports left behind."""
    for form in (SAVED_MODEL, *ENDINGS, WEB):
        directory = folder(base, form)
        # Before the temporary directories, which tell them from finished versions.
        for name in _unfinished(base, form, set(paths.listdir(directory))):
            leftovers.remove_path(os.path.join(directory, name))
        leftovers.remove(directory, _is_number)
    leftovers.remove(base, {MODELS, BATCHING}.__contains__)


def read_list(base: str) -> model_list.ModelList | None:
    """The versions and labels in `models.config`; None without the file."""
    path = os.path.join(base, MODELS)
    if not tf.io.gfile.exists(path):
        return None
    content = b"".join(files.blocks(path))
    try:
        return model_list.parse(content.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text.") from error


def write_list(base: str, name: str, listed: model_list.ModelList) -> None:
    """Writes `models.config` for a model."""
    files.write_text(os.path.join(base, MODELS), listed.text(name))


def write_settings(base: str, name: str, limit: int) -> None:
    """Writes `models.config` and, if it is missing, `batching.config`.

    The server will load the new version besides those with labels. No label moves: only
    the label `stable` of a model's first version is new.

    Args:
        base: the model's directory.
        name: of the model.
        limit: largest number of images in a request, which also limits a batch.
    """
    existing, before = numbers(base), read_list(base)
    listed = before.with_exports(existing) if before else None
    write_list(base, name, listed or model_list.first_list(existing))
    path = os.path.join(base, BATCHING)
    if not tf.io.gfile.exists(path):
        files.write_text(path, _BATCHING.format(size=min(64, limit)))
