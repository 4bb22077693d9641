import os
import signal
import threading

import pytest

from tf_student.runtime import preemption
from tf_student.runtime.errors import Preempted
from tf_student.runtime.preemption import StopSignal


def test_nothing_is_received_without_a_signal():
    with StopSignal("") as stop:
        assert not stop.received


def test_sigterm_ends_a_block_that_has_nothing_to_save():
    done = []
    with pytest.raises(Preempted, match="Nothing was saved"):
        with StopSignal("Nothing was saved.") as stop:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("more work")
            # As TensorFlow and Keras catch errors.
            except Exception:
                done.append("caught")
    assert stop.received and not done


def test_sigterm_is_received_and_survived_where_something_has_to_be_saved():
    with StopSignal("") as stop:
        stop.defer()
        assert preemption.is_saving()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received
    assert not preemption.is_saving()


def test_the_previous_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal(""):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_previous_handler_is_restored_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    try:
        with StopSignal(""):
            raise KeyError
    except KeyError:
        pass
    assert signal.getsignal(signal.SIGTERM) == before


def test_other_threads_may_enter_it():
    outcomes = []

    def enter():
        with StopSignal("") as stop:
            outcomes.append(stop.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert outcomes == [False]


def test_sigterm_ends_an_inner_block_of_which_the_caller_saves():
    with StopSignal("") as stop:
        stop.defer()
        with pytest.raises(preemption.Terminated):
            with stop.interrupting():
                os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received and preemption.is_saving()
        # The second one does not disturb the saving.
        os.kill(os.getpid(), signal.SIGTERM)
