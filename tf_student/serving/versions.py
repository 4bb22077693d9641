"""The directory of a model for ModelServer: numbered versions and settings."""

import os

import tensorflow as tf

from tf_student.runtime import files, leftovers, paths
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata

MODELS, BATCHING = "models.config", "batching.config"

_ONE_VERSION = """\
# The model has one version. The next export adds its own with the label `canary`.
"""
_MODELS = """\
# For `tensorflow_model_server --model_config_file`; every export overwrites it. Labels
# of versions that are still being loaded need
# --allow_version_labels_for_unavailable_models=true.
{note}model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{
      specific {{
{versions}
      }}
    }}
{labels}
  }}
}}
"""
_LABEL = """\
    version_labels {{
      key: "{label}"
      value: {version}
    }}"""
_BATCHING = """\
# For `tensorflow_model_server --enable_batching --batching_parameters_file`; exports do
# not overwrite it. With batching, the server joins requests along the first dimension
# of their inputs, so it supports only `serving_default`: seeds are scalars.
max_batch_size {{ value: {size} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
"""


def numbers(base: str) -> list[int]:
    """The existing versions in ascending order; other names are ignored."""
    return sorted(_names(base))


def directory_of(base: str, version: int) -> str:
    """The directory of a version, which may exist as `00000001`."""
    return os.path.join(base, _names(base).get(version, str(version)))


def _names(base: str) -> dict[int, str]:
    """The names of the existing versions; servers accept zeros before a number."""
    names = [name for name in paths.listdir(base) if _is_number(name)]
    return {int(name): name for name in sorted(names, key=len, reverse=True)}


def _is_number(name: str) -> bool:
    # Servers read int64, and Python refuses to read numbers of thousands of digits.
    return name.isascii() and name.isdigit() and len(name) < 20


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
    """The directory of a new version.

    Args:
        base: the model's directory.
        version: number of the version; 0 for one more than the highest existing one.
        name: of the model.

    Raises:
        InputError: if the version exists already, `base` holds another model, or
            TensorFlow could not read weights below it.
    """
    paths.check_restorable(base)
    if tf.io.gfile.exists(base) and not tf.io.gfile.isdir(base):
        raise InputError(f"`export_dir` must be a folder. Received: export_dir={base}.")
    existing = numbers(base)
    if version in existing:
        raise InputError(
            f"`version` must not exist yet in {base}. Received: version={version}."
        )
    if existing:
        other = metadata.read(directory_of(base, existing[-1])).name
        if other != name:
            raise InputError(
                f"{base} holds versions of another model. Expected: name={other}, "
                f"received: name={name}."
            )
    return os.path.join(base, str(version or max(existing, default=0) + 1))


def remove_leftovers(base: str) -> None:
    """Removes temporary files and directories of interrupted exports."""
    settings = {MODELS, BATCHING}
    leftovers.remove(base, lambda name: name in settings or _is_number(name))


def write_settings(base: str, name: str, limit: int) -> None:
    """Writes `models.config` and, if it is missing, `batching.config`.

    The server loads the last two versions. The older one has the label `stable`, the
    newer one `canary`; a single version is `stable`.

    Args:
        base: the model's directory.
        name: of the model.
        limit: largest number of images in a request, which also limits a batch.
    """
    last = numbers(base)[-2:]
    labels = dict(zip(("stable", "canary"), last, strict=False))
    text = _MODELS.format(
        note=_ONE_VERSION if len(last) == 1 else "",
        name=name,
        versions="\n".join(f"        versions: {version}" for version in last),
        labels="\n".join(
            _LABEL.format(label=label, version=version)
            for label, version in labels.items()
        ),
    )
    files.write_text(os.path.join(base, MODELS), text)
    path = os.path.join(base, BATCHING)
    if not tf.io.gfile.exists(path):
        files.write_text(path, _BATCHING.format(size=min(64, limit)))
