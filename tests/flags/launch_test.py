"""Errors that commands leave for the scripts of schedulers."""

import re
from pathlib import Path

import pytest
from absl import flags
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


@pytest.fixture
def debug(monkeypatch, tmp_path):
    """Sets --debug, and keeps the files of unexpected errors in a folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = flags.FlagValues()
    flags.DEFINE_boolean("debug", False, "", flag_values=values)
    values(["test"])
    monkeypatch.setattr(launch.flags, "FLAGS", values)
    return values


def test_unexpected_error_is_one_line_and_a_file(marker, debug, capsys):
    error = RuntimeError("{{function_node __wrapped__Save}} disk full\nmore")
    assert marker(error) == (70, None)
    line = capsys.readouterr().err
    found = re.fullmatch(
        "tf-student distill: unexpected RuntimeError: disk full. The traceback is in "
        "(.*), for a bug report.\n",
        line,
    )
    text = Path(found[1]).read_text()
    assert text.startswith("Traceback") and "in fail" in text


def test_unexpected_error_without_a_place_for_the_file(
    marker, debug, capsys, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert marker(RuntimeError("a")) == (70, None)
    expected = "unexpected RuntimeError: a. --debug shows the traceback.\n"
    assert capsys.readouterr().err == f"tf-student distill: {expected}"


def test_debug_shows_the_traceback(marker, debug):
    debug.debug = True
    with pytest.raises(RuntimeError, match="a"):
        marker(RuntimeError("a"))
