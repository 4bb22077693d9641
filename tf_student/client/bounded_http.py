"""Requests for JSON over HTTP, with answers that are bounded in bytes and in time.

The bounds hold for all that a server sends: status lines, headers, the sizes of chunks,
trailers and the body. The module needs only the standard library.
"""

import functools
import http.client
import io
import json
import os
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from tf_student.client.limits import one_line
from tf_student.runtime.errors import InputError, ServerError

# Status lines and headers, in bytes.
_HEAD = 2**16
_BLOCK = 2**16
# No number of an answer has that many digits, and to parse them takes a time that grows
# with their square.
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{100}")


class BoundedHttp:
    """A lasting connection to a server that answers in JSON.

    Args:
        server: its address, such as `https://host:8501/prefix`.
        timeout: seconds for opening the connection, and for each request with its whole
            answer.
        ca_file: PEM file of trusted certificate authorities; empty for the system's.

    Raises:
        InputError: if `ca_file` has no certificates.
    """

    def __init__(self, server: str, timeout: float, ca_file: str = ""):
        address = urllib.parse.urlsplit(server)
        self._server, self._timeout = server, timeout
        self._prefix = address.path.rstrip("/")
        self._http = _open(address, timeout, ca_file)

    def request(self, method: str, path: str, value: Any = None, *, limit: int) -> Any:
        """Sends a request and parses the JSON of its answer.

        Args:
            method: `GET` or `POST`.
            path: below the path of the server's address.
            value: the body of the request; None for a request without a body.
            limit: of the answer's body, in bytes.

        Raises:
            ServerError: if the server cannot be reached, refuses the request, or
                answers with something else than JSON, too much or too slowly.
        """
        end = time.monotonic() + self._timeout
        sent = None if value is None else json.dumps(value).encode()
        try:
            response, body = self._exchange(method, path, sent, limit, end)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._http.close()
            if isinstance(error, ServerError):
                raise
            raise ServerError(
                f"{self._server} did not answer: {one_line(repr(error))}."
            ) from error
        if response.status != http.client.OK:
            reason = one_line(response.reason)
            raise ServerError(
                f"{self._server} answered {response.status} {reason}: {_reason(body)}"
            )
        try:
            return _parse(body)
        except ValueError as error:
            raise ServerError(
                f"{self._server} must answer in JSON. Received: {_reason(body)}"
            ) from error

    def _exchange(
        self, method: str, path: str, sent: bytes | None, limit: int, end: float
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Content-Type": "application/json"}
        if sent is not None:
            headers["Content-Length"] = str(len(sent))
        if self._http.sock is None:
            self._http.timeout = _left(end)
            self._http.connect()
        self._http.sock.settimeout(_left(end))
        blocks = None if sent is None else self._blocks(sent, end)
        self._http.request(method, self._prefix + path, blocks, headers)
        self._http.response_class = functools.partial(  # type: ignore[assignment]
            _Response, server=self._server, limit=_HEAD + limit, end=end
        )
        response = self._http.getresponse()
        # Whole bodies would be allocated at once by the length that the server claims.
        body = b"".join(iter(lambda: response.read(_BLOCK), b""))
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return response, body

    def _blocks(self, sent: bytes, end: float) -> Iterator[bytes]:
        """The parts of a body, for each of which only the rest of the time is left."""
        for start in range(0, len(sent), _BLOCK):
            self._http.sock.settimeout(_left(end))
            yield sent[start : start + _BLOCK]

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


class _Response(http.client.HTTPResponse):
    """An answer that is read within limits."""

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        **limits: Any,
    ):
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_LimitedBytes(sock, **limits))


class _LimitedBytes(io.RawIOBase):
    """The bytes that come from a socket, until their number or the time ends."""

    def __init__(self, sock: socket.socket, server: str, limit: int, end: float):
        self._socket, self._bytes = sock, sock.makefile("rb", 0)
        self._server, self._limit, self._end = server, limit, end
        self._remaining = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._remaining:
            raise ServerError(
                f"{self._server} must answer with at most {self._limit:,} bytes."
            )
        self._socket.settimeout(_left(self._end))
        with memoryview(buffer) as view:
            count = self._bytes.readinto(view[: self._remaining])
        self._remaining -= count or 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._bytes.close()
        super().close()


def _left(end: float) -> float:
    """The seconds until a moment."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _open(
    address: urllib.parse.SplitResult, timeout: float, ca_file: str
) -> http.client.HTTPConnection:
    """Prepares a connection; the first request opens it."""
    if address.scheme == "http":
        return http.client.HTTPConnection(address.netloc, timeout=timeout)
    try:
        if ca_file and not os.path.isfile(ca_file):
            # Opening a pipe would wait for its writer.
            raise FileNotFoundError(ca_file)
        context = ssl.create_default_context(cafile=ca_file or None)
    # An SSLError is an OSError.
    except OSError as error:
        raise InputError(
            "`ca_file` must be a PEM file of certificates. Received: "
            f"ca_file={ca_file}."
        ) from error
    return http.client.HTTPSConnection(address.netloc, timeout=timeout, context=context)


def _parse(body: bytes) -> Any:
    """Parses JSON.

    Raises:
        ValueError: also for lists that are nested too deeply and for long numbers.
    """
    if _LONG_NUMBER.search(body):
        raise ValueError("a number is too long")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("lists are nested too deeply") from error


def _reason(body: bytes) -> str:
    """The error message of an answer, as one line."""
    text = body[:_BLOCK].decode("utf-8", "replace")
    try:
        error = _parse(body)["error"]
    except (KeyError, TypeError, ValueError):
        error = None
    return one_line(error if isinstance(error, str) else text)
