import os
import signal
import threading

from tf_student.runtime.preemption import StopSignal


def test_nothing_is_received_without_a_signal():
    with StopSignal() as stop:
        assert not stop.received


def test_sigterm_is_received_and_survived():
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received


def test_the_previous_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_previous_handler_is_restored_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    try:
        with StopSignal():
            raise KeyError
    except KeyError:
        pass
    assert signal.getsignal(signal.SIGTERM) == before


def test_other_threads_may_enter_it():
    outcomes = []

    def enter():
        with StopSignal() as stop:
            outcomes.append(stop.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert outcomes == [False]
