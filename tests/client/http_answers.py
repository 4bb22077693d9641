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

    `write(handler)` writes the answer to a request into `handler.wfile`; the request's
    body has not been read.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
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
