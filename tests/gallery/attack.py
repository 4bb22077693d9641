"""Connections to the gallery that no browser makes."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator


def answer(port: int, request: bytes, timeout: float = 10.0) -> bytes:
    """All bytes of the answer to raw bytes; none without an answer."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(timeout)
        try:
            connection.sendall(request)
            while block := connection.recv(2**16):
                received += block
        except OSError:
            pass
    return received


def get(port: int, path: str, host: str = "localhost", **headers: str) -> int | None:
    """The status of a request."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = answer(port, "\r\n".join([*lines, "\r\n"]).encode())
    return int(head.split()[1]) if head else None


@contextlib.contextmanager
def slow_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that send a byte of a request again and again, until they break."""
    opened = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.1):
            for connection in list(opened):
                try:
                    connection.send(b"a")
                except OSError:
                    opened.remove(connection)
                    connection.close()

    for connection in opened:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield opened
    finally:
        stop.set()
        thread.join()
        for connection in opened:
            connection.close()


def resources(pid: int) -> tuple[int, int]:
    """Numbers of open files and of threads of a process."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def resources_at_most(pid: int, most: tuple[int, int], seconds: float) -> bool:
    """Whether a process soon has no more open files and threads than before."""
    end = time.monotonic() + seconds
    while any(now > then for now, then in zip(resources(pid), most, strict=True)):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
