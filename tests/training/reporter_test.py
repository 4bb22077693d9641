import json

import numpy as np
import pytest
import tensorflow as tf

from tf_student.training.reporter import Reporter, read_metrics


@pytest.fixture
def report(tmp_path):
    def make(start=0, **options):
        return Reporter(
            str(tmp_path),
            start=start,
            total=10,
            label="test",
            progress=False,
            **options,
        )

    return make


def _write(report, steps, start=0):
    reporter = report(start)
    for step in steps:
        reporter.scalars(step, {"loss": step / 2})
    reporter.close()


def test_metrics_are_json_lines(report, tmp_path):
    _write(report, [1, 2])
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 1.0}\n'


def test_resumed_run_removes_metrics_beyond_its_checkpoint(report, tmp_path):
    _write(report, [2, 4, 6, 8])
    _write(report, [5], start=4)
    assert [line["step"] for line in read_metrics(str(tmp_path))] == [2, 4, 5]


def test_resumed_run_removes_metrics_of_an_evaluation_to_repeat(report, tmp_path):
    reporter = report()
    for loss in ("loss", "held_out_loss", "other_loss"):
        reporter.scalars(4, {loss: 1.0})
    reporter.close()
    report(start=4).close()
    assert len(read_metrics(str(tmp_path))) == 3
    report(start=4, unevaluated=True).close()
    assert read_metrics(str(tmp_path)) == [{"step": 4, "loss": 1.0}]


def test_run_from_the_beginning_removes_all_metrics(report, tmp_path):
    _write(report, [2, 4])
    _write(report, [1])
    assert [line["step"] for line in read_metrics(str(tmp_path))] == [1]


def test_line_truncated_by_a_kill_is_left_out(report, tmp_path):
    _write(report, [2, 4])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-8])
    assert [line["step"] for line in read_metrics(str(tmp_path))] == [2]


def test_lines_after_a_truncated_one_are_complete(report, tmp_path):
    _write(report, [2, 4])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-8])
    _write(report, [3], start=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]


def test_grid_is_a_magnified_png(report, tmp_path):
    sheet = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 40
    report().grid(1, "samples", sheet)
    image = tf.io.decode_png((tmp_path / "samples.png").read_bytes()).numpy()
    # 512 // 3 times.
    np.testing.assert_array_equal(image[::170, ::170], sheet)


def test_tensorboard_gets_scalars_and_grids(report, tmp_path):
    reporter = report()
    reporter.scalars(3, {"loss": 0.25})
    reporter.grid(3, "samples", np.zeros([4, 4, 1], np.uint8))
    reporter.close()
    (path,) = (tmp_path / "logs").iterdir()
    tags = {
        (value.tag, event.step)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {("loss", 3), ("samples", 3)} <= tags


def test_rate_counts_steps_since_the_last_call(report, monkeypatch):
    times = iter([100.0, 104.0, 106.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    reporter = report(start=10)
    assert reporter.rate(18) == 2.0
    assert reporter.rate(28) == 5.0


def test_progress_goes_to_stderr_with_its_label(tmp_path, capfd):
    reporter = Reporter(str(tmp_path), start=3, total=9, label="toy", progress=True)
    reporter.advance()
    reporter.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert "toy" in err and "4/9" in err
