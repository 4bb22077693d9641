"""Downloads published weights from the Hugging Face Hub, and uploads networks."""

import os
from typing import Any

from tf_student.convert import diffusers
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import refuse

PREFIX = "hf:"
_KINDS = ("safetensors", "bin")


def download(source: str, weights: str = "") -> str:
    """The local folder of `hf:owner/name`.

    Args:
        source: the name on the Hub.
        weights: the variant or the folder that is read, if it is not the usual one.

    Raises:
        InputError: if it cannot be downloaded.
    """
    huggingface_hub = _library(f"source={source}")
    # The usual files, and all others only if there are none of these.
    stem = f"*{diffusers.WEIGHTS}"
    usual = [f"{stem}{shard}.{kind}" for shard in ("", "-*") for kind in _KINDS]
    every = [f"{stem}*.{kind}" for kind in _KINDS]
    try:
        for patterns in [every] if weights else [usual, every]:
            folder = huggingface_hub.snapshot_download(
                source.removeprefix(PREFIX), allow_patterns=["*.json", *patterns]
            )
            if _has_weights(folder):
                break
    # Connections fail with errors of many types.
    except Exception as error:
        raise InputError(
            f"source={source} could not be downloaded and is not in the cache: {error}"
        ) from error
    return folder


def repository(target: str) -> str:
    """The `owner/name` of `hf:owner/name`.

    Raises:
        InputError: if it is no name of the Hub.
    """
    library = _library(f"directory={target}")
    name = target.removeprefix(PREFIX)
    try:
        library.utils.validate_repo_id(name)
        _, separator, _ = name.partition("/")
    except ValueError:
        separator = ""
    if not separator:
        refuse("directory", "be hf:owner/name, with a name of the Hub", target)
    return name


def upload(folder: str, name: str) -> None:
    """Uploads the files of a folder as one commit.

    Args:
        folder: on a local disk.
        name: `owner/name` of the repository, which is created if it does not exist.

    Raises:
        InputError: if the Hub refuses it or cannot be reached.
    """
    api = _library(f"directory={PREFIX}{name}").HfApi()
    try:
        api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder)
    # Connections fail with errors of many types.
    except Exception as error:
        raise InputError(
            f"directory={PREFIX}{name} could not be uploaded: {error}"
        ) from error


def _library(argument: str) -> Any:
    try:
        import huggingface_hub.utils
    except ImportError as error:
        raise InputError(
            f"{argument} needs huggingface_hub: pip install 'tf-student[hub]'."
        ) from error
    return huggingface_hub


def _has_weights(folder: str) -> bool:
    return any(
        name.startswith(diffusers.WEIGHTS) and name.endswith(_KINDS)
        for _, _, names in os.walk(folder)
        for name in names
    )
