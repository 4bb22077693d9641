import sys

import pytest

from tf_student.runtime import progress


@pytest.fixture
def terminal(monkeypatch):
    def pretend(is_terminal):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)

    return pretend


def test_a_disabled_bar_writes_nothing(capsys):
    with progress.bar(total=3, done=0, label="a", unit="b", enabled=False) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_a_bar_continues_where_an_earlier_run_stopped(capsys):
    with progress.bar(
        total=4, done=3, label="distill", unit="step", enabled=True
    ) as bar:
        bar.update(1)
    err = capsys.readouterr().err
    assert "distill: 100%" in err
    assert "4/4" in err


@pytest.mark.parametrize(("is_terminal", "seconds"), [(True, 0.2), (False, 60.0)])
def test_a_log_file_gets_a_line_a_minute(terminal, is_terminal, seconds):
    terminal(is_terminal)
    with progress.bar(total=1, done=0, label="a", unit="b", enabled=True) as bar:
        assert bar.mininterval == seconds
