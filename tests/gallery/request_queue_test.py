import pytest

from tf_student.gallery.request_queue import BusyError, Gate


def test_a_turn_is_given_back_after_an_error():
    gate = Gate(waiting=0)
    for _ in range(3):
        with pytest.raises(KeyError), gate.turn():
            raise KeyError
    with gate.turn():
        pass


def test_who_finds_no_place_is_told_at_once():
    gate = Gate(waiting=0)
    with gate.turn(), pytest.raises(BusyError), gate.turn():
        pass
    with gate.turn():
        pass
