import threading

import pytest

from tf_student.gallery.request_queue import BusyError, RequestQueue


def test_turn_ends_after_an_error():
    queue = RequestQueue(waiting=0)
    for _ in range(3):
        with pytest.raises(KeyError), queue.turn():
            raise KeyError
    with queue.turn():
        pass


def test_full_queue_refuses_at_once():
    queue = RequestQueue(waiting=0)
    with queue.turn(), pytest.raises(BusyError), queue.turn():
        pass
    with queue.turn():
        pass


def test_waiting_request_runs_after_the_first():
    queue, order = RequestQueue(waiting=1), []
    started = threading.Event()

    def wait():
        started.set()
        with queue.turn():
            order.append("second")

    thread = threading.Thread(target=wait)
    with queue.turn():
        thread.start()
        assert started.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
