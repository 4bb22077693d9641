"""Asks a server which versions of a model it has loaded."""

import contextlib
import re
from typing import Any

from tf_student.client import limits
from tf_student.client.bounded_http import BoundedHttp
from tf_student.runtime.errors import ServerError


def version_states(
    server: str, model: str, *, timeout: float = 60.0, ca_file: str = ""
) -> dict[int, str]:
    """The states of a model's versions, by `GET /v1/models/<name>`.

    Args:
        server: address of the server, `http://` or `https://`.
        model: name of the model.
        timeout: seconds for the request and its answer.
        ca_file: PEM file of trusted certificate authorities; empty for the system's.

    Returns:
        By number `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`. If the server
        could not load a version, `END: ` and the reason.

    Raises:
        InputError: if `ca_file` has no certificates.
        ServerError: if the server does not answer, or does not know the model.

    Example:

    >>> version_states("http://127.0.0.1:8501", "digits")  # doctest: +SKIP
    {2: 'AVAILABLE', 1: 'AVAILABLE'}
    """
    with contextlib.closing(BoundedHttp(server, timeout, ca_file)) as connection:
        answer = connection.request(
            "GET", f"/v1/models/{model}", limit=limits.MAX_DESCRIPTION
        )
    try:
        return dict(_state(entry) for entry in answer["model_version_status"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServerError(
            f"{server} must answer with the states of the model's versions."
        ) from error


def _state(entry: Any) -> tuple[int, str]:
    version, state = entry["version"], entry["state"]
    if not isinstance(version, str) or not re.fullmatch("[0-9]{1,19}", version):
        raise ValueError(version)
    status = entry.get("status", {})
    failed = status.get("error_code", "OK") != "OK"
    if state == "END" and failed:
        state = f"END: {status.get('error_message') or status['error_code']}"
    return int(version), limits.one_line(str(state))
