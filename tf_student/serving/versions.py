"""A model's directory as ModelServer reads it: numbered versions, and its settings."""

import os

import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata

MODELS, BATCHING = "models.config", "batching.config"

_ONE_VERSION = """\
# There is one version so far. The next export adds it here, as `canary`.
"""
_MODELS = """\
# Of `tensorflow_model_server --model_config_file`; every export writes it anew. Labels
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
# Of `tensorflow_model_server --enable_batching --batching_parameters_file`; exports do
# not write over it. The server then joins requests along the first dimension of their
# inputs. Noise has one and seeds have none: it answers `serving_default` alone.
max_batch_size {{ value: {size} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
"""


def numbers(base: str) -> list[int]:
    """The versions in a directory, in order; a server passes over other names."""
    if not tf.io.gfile.isdir(base):
        return []
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(base)]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def newest(directory: str) -> str | None:
    """The SavedModel in `directory`, or in its version of the highest number.

    Versions that hold no SavedModel are passed over; None if there is nothing else.
    """
    below = (os.path.join(directory, str(n)) for n in reversed(numbers(directory)))
    found = filter(tf.saved_model.contains_saved_model, (directory, *below))
    return next(found, None)


def choose(base: str, version: int, name: str) -> str:
    """The directory of a version that is to be made; 0 stands for the next one.

    Raises:
        InputError: if it is there already, or the others are of another model.
    """
    if tf.io.gfile.exists(base) and not tf.io.gfile.isdir(base):
        raise InputError(f"`export_dir` must be a folder. Received: export_dir={base}.")
    found = numbers(base)
    if version in found:
        raise InputError(
            f"`version` must not exist yet in {base}. Received: version={version}."
        )
    if found:
        other = metadata.read(os.path.join(base, str(found[-1]))).name
        if other != name:
            raise InputError(
                f"{base} holds versions of another model. Expected: name={other}, "
                f"received: name={name}."
            )
    return os.path.join(base, str(version or (found[-1] if found else 0) + 1))


def remove_leftovers(base: str) -> None:
    """Removes the beginnings of versions and settings that killed exports left."""
    names = {name.partition(".tmp-")[0] for name in tf.io.gfile.listdir(base)}
    own = {name for name in names if name.isascii() and name.isdigit()}
    files.remove_leftovers(base, own | {MODELS, BATCHING})


def write_settings(base: str, name: str, limit: int) -> None:
    """Writes `models.config` of the last two versions and, if missing, batching's."""
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
