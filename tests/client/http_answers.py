"""A real HTTP server that answers with any bytes."""

import contextlib
import http.server
import threading


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that refuse an answer close the connection while it is sent."""


@contextlib.contextmanager
def serving(write):
    """Yields the address of a server.

    `write(handler)` writes the answer to a request into `handler.wfile`. The request's
    body has been read: a connection that is closed with unread bytes is reset, and the
    client may then lose the answer.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            write(self)

        do_GET = do_POST  # noqa: N815 - the library's name.

        def log_message(self, *arguments):
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def ok(body):
    """A whole answer with a body."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body
