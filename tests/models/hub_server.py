"""A stand-in for the Hugging Face Hub that huggingface_hub's own client talks to."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from urllib.parse import urlsplit

COMMIT = "0" * 39 + "1"


class Hub(http.server.ThreadingHTTPServer):
    """Stores the files of one repository, `files`, as plain git would."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests, self.refuses = {}, [], False

    def handle_error(self, request, client_address):
        """Clients close connections that they no longer need."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.server.requests.append(path)
        if self.server.refuses:
            return self._answer({"error": "You may not write here"}, 403)
        if path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            kept = {"uploadMode": "regular", "shouldIgnore": False}
            return self._answer({"files": [{"path": f["path"], **kept} for f in asked]})
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    content = base64.b64decode(value["content"])
                    self.server.files[value["path"]] = content
            address = f"http://127.0.0.1:{self.server.server_port}/owner/name"
            url = f"{address}/commit/{COMMIT}"
            return self._answer({"commitUrl": url, "commitOid": COMMIT})
        address = f"http://127.0.0.1:{self.server.server_port}/owner/name"
        return self._answer({"url": address, "name": "owner/name"})

    def do_GET(self):
        path = urlsplit(self.path).path
        self.server.requests.append(path)
        files = self.server.files
        if path.startswith("/owner/name/resolve/"):
            name = path.split("/", 5)[5]
            return self._send(files[name]) if name in files else self._answer({}, 404)
        siblings = [{"rfilename": name} for name in sorted(files)]
        about = {"id": "owner/name", "sha": COMMIT, "siblings": siblings}
        if "/tree/" in path:
            about = [
                {"type": "file", "path": n, "size": len(c), "oid": _oid(c)}
                for n, c in files.items()
            ]
        return self._answer(about)

    do_HEAD = do_GET  # noqa: N815 - the library's name.

    def _answer(self, value, code=200):
        self._send(json.dumps(value).encode(), code)

    def _send(self, content, code=200):
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{_oid(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def _oid(content):
    return hashlib.sha1(content).hexdigest()


@contextlib.contextmanager
def serving():
    """Yields a running Hub."""
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
