"""Errors that commands leave for the scripts of schedulers."""

import pytest
from tf_student.flags import launch

from tf_student.runtime.errors import DivergedError, InputError, Preempted, WorkerLost


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """What a command leaves when it ends with an error."""
    path = tmp_path / "job.error"
    monkeypatch.setenv("TF_STUDENT_ERROR_FILE", str(path))
    monkeypatch.setattr("sys.argv", ["distill.py"])
    monkeypatch.setattr(launch, "_log_plainly", lambda: None)

    def marker(error):
        def fail():
            raise error

        path.unlink(missing_ok=True)
        with pytest.raises(SystemExit) as end:
            launch._execute([""], fail, None)
        return end.value.code, path.read_text() if path.exists() else None

    return marker


def test_error_that_a_repetition_does_not_cure_is_left(marker):
    text = "2 tf-student distill: `steps` is wrong\n"
    assert marker(InputError("`steps` is wrong")) == (2, text)
    assert marker(DivergedError("NaN")) == (3, "3 tf-student distill: NaN\n")


class UnavailableError(OSError):
    """Named like the error of TensorFlow's file systems."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Preempted("saved"), 75),
        (WorkerLost("worker 1 ended."), 75),
        (KeyboardInterrupt(), 130),
        (UnavailableError("503"), 2),
    ],
)
def test_other_errors_leave_nothing(marker, error, code):
    assert marker(error) == (code, None)


def test_unwritable_place_changes_nothing(marker, monkeypatch, capsys):
    monkeypatch.setenv("TF_STUDENT_ERROR_FILE", "/nowhere/job.error")
    assert marker(InputError("a")) == (2, None)
    assert capsys.readouterr().err == "tf-student distill: a\n"


def test_unknown_scheme_of_a_path_is_one_line(marker):
    import tensorflow as tf

    with pytest.raises(tf.errors.UnimplementedError) as raised:
        tf.io.gfile.exists("s3://bucket/run")
    code, text = marker(raised.value)
    assert code == 2 and "scheme 's3' not implemented" in text
