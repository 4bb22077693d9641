"""Downloads published weights from the Hugging Face Hub."""

import os

from tf_student.convert import diffusers
from tf_student.runtime.errors import InputError

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
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"source={source} needs huggingface_hub: pip install 'tf-student[hub]'."
        ) from error
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
        reason = " ".join(str(error).split())
        raise InputError(
            f"source={source} could not be downloaded and is not in the cache: {reason}"
        ) from error
    return folder


def _has_weights(folder: str) -> bool:
    return any(
        name.startswith(diffusers.WEIGHTS) and name.endswith(_KINDS)
        for _, _, names in os.walk(folder)
        for name in names
    )
