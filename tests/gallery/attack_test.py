"""The gallery's server in its own process, attacked over sockets."""

import collections
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest

from tests.gallery import attack, random_requests
from tests.gallery.fake_model import FakeModel
from tf_student.gallery import app, server
from tf_student.gallery.gallery_config import GalleryConfig

_SLOW = 200


def _serve(listening):
    # As the command does.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    hosts = server.trusted_hosts(GalleryConfig())
    models = {"student": FakeModel(before=lambda: time.sleep(0.002))}
    page = app.make_app(models, hosts=hosts, max_images=8)
    server.make_server(page, listening).run()


@pytest.fixture(scope="module")
def gallery():
    """Its process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(listening,)
        )
        process.start()
        port = listening.getsockname()[1]
    assert attack.get(port, "/models") == 200
    yield process, port
    process.kill()
    process.join()


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("localhost", {}, 200),
        ("localhost", {"Origin": "http://localhost"}, 200),
        ("localhost:8008", {"Origin": "http://localhost:8008"}, 200),
        ("localhost:8008", {"Origin": "http://localhost:8009"}, 403),
        ("localhost", {"Origin": "https://evil.example"}, 403),
        ("localhost", {"Origin": "null"}, 403),
        ("localhost", {"Origin": ""}, 403),
        ("localhost", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("evil.example", {}, 403),
        ("evil.example", {"Origin": "http://evil.example"}, 403),
        ("localhost.evil.example", {}, 403),
        ("localhost@evil.example", {}, 403),
    ],
)
def test_other_hosts_and_origins_are_refused(gallery, host, headers, status):
    assert attack.get(gallery[1], "/models", host, **headers) == status


def test_random_requests_and_slow_connections_leave_nothing(gallery):
    process, port = gallery
    before, statuses = attack.resources(process.pid), collections.Counter()

    def count(request, status):
        statuses[status] += 1

    with attack.slow_connections(port, _SLOW):
        random_requests.send(port, 1, 60, count)
        assert attack.get(port, "/models") == 200
    assert attack.resources_at_most(process.pid, before, 10)
    # Otherwise little of the server would have been tried.
    assert {200, 400} <= set(statuses), statuses


def test_sigterm_ends_it_under_load(gallery):
    process, port = gallery
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                attack.get(port, "/sample?model=student&seed=1&count=8")
            except OSError:
                return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    with attack.slow_connections(port, _SLOW):
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        process.terminate()
        process.join(5)
        stop.set()
    assert process.exitcode == 0
    for thread in threads:
        thread.join()
