"""Draws the images of a page outside this package: in Node.js, or else in Chromium.

Both run the page's own scripts with the page's WebAssembly runtime. A server on this
machine sends them the files and receives the images.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator

_PROGRAM = pathlib.Path(__file__).with_name("web_process.mjs")
# The first version with fetch().
_OLDEST_NODE = 18
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Seconds for the images.
_TIMEOUT = 600.0
_NOTHING = f"It drew nothing in {_TIMEOUT:.0f} seconds."
_DOCUMENT = "verify.html"
_HTML = b'<!doctype html><script type="module" src="web_process.mjs"></script>'


def find() -> str | None:
    """The program that would draw: Node.js 18 or newer, or else Chromium."""
    if (node := shutil.which("node")) and _version(node) >= _OLDEST_NODE:
        return node
    return next((path for path in map(shutil.which, _BROWSERS) if path), None)


def is_node(program: str) -> bool:
    """Whether a program that `find` returned is Node.js."""
    return os.path.basename(program) == "node"


def _version(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True)
    found = re.match(r"v(\d+)", done.stdout)
    return int(found[1]) if found else 0


def draw(program: str, folder: str, seed: int, count: int) -> bytes:
    """The RGBA bytes of the first images of a seed.

    Args:
        program: from `find`.
        folder: of the page, on a local disk.
        seed: as in `tf-student sample --seed`.
        count: number of images.

    Raises:
        RuntimeError: if the page fails or the program ends without images.
    """
    with _serving(folder) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        if is_node(program):
            _run_node([program, str(_PROGRAM), address, str(seed), str(count)], server)
        else:
            _run_browser(program, f"{address}{_DOCUMENT}?s={seed}&n={count}", server)
    if server.error or server.images is None:
        raise RuntimeError(f"The page failed in {program}:\n{server.error}")
    return server.images


class _Server(http.server.ThreadingHTTPServer):
    """Knows what the page has sent."""

    images: bytes | None = None
    error = ""

    def __init__(self, folder: str):
        super().__init__(
            ("127.0.0.1", 0), functools.partial(_Handler, directory=folder)
        )
        self.answered = threading.Event()


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Sends a file of the page, or one of the two that draw with them."""
        path = self.path.partition("?")[0]
        if path == f"/{_DOCUMENT}":
            self._send(_HTML, "text/html")
        elif path == f"/{_PROGRAM.name}":
            self._send(_PROGRAM.read_bytes(), "text/javascript")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Receives the images, or the error of the page."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/images":
            self.server.images = content
        else:
            self.server.error = content.decode(errors="replace")
        self._send(b"", "text/plain")
        self.server.answered.set()

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        """Says nothing."""


@contextlib.contextmanager
def _serving(folder: str) -> Iterator[_Server]:
    with _Server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def _run_node(command: list[str], server: _Server) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.error = _NOTHING
        return
    if not server.answered.is_set():
        server.error = "\n".join(done.stderr.strip().splitlines()[-20:])


def _run_browser(program: str, address: str, server: _Server) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            *(program, "--headless=new", f"--user-data-dir={profile}"),
            *("--no-first-run", "--disable-gpu", "--remote-debugging-port=0"),
            # Chromium's sandbox refuses root. The page is this package's own.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            address,
        ]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        try:
            waited = 0.0
            while not server.answered.wait(0.1) and process.poll() is None:
                waited += 0.1
                if waited > _TIMEOUT:
                    server.error = _NOTHING
                    break
        finally:
            process.terminate()
            process.wait()
