import pytest

from tf_student.training.profile import Profile


@pytest.fixture
def profiled(monkeypatch, tmp_path):
    """Runs five steps under a profile; returns the calls of the profiler by step."""
    calls = []

    def run(steps, last=5):
        now = [0]
        profiler = "tensorflow.profiler.experimental"
        monkeypatch.setattr(
            f"{profiler}.start", lambda logs: calls.append(("start", now[0], logs))
        )
        monkeypatch.setattr(f"{profiler}.stop", lambda: calls.append(("stop", now[0])))
        profile = Profile(str(tmp_path), steps)
        for now[0] in range(1, last + 1):
            profile.begin(now[0])
            profile.end(now[0])
        profile.close()
        return calls

    return run


def test_records_from_the_first_to_the_last_step(profiled, tmp_path):
    assert profiled((2, 4)) == [("start", 2, str(tmp_path / "logs")), ("stop", 4)]


def test_closing_ends_a_recording(profiled, tmp_path):
    assert profiled((2, 9)) == [("start", 2, str(tmp_path / "logs")), ("stop", 5)]


def test_without_steps_nothing_is_recorded(profiled):
    assert profiled(()) == []
