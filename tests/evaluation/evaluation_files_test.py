import json

import numpy as np

from tf_student.evaluation import evaluation_files, statistics
from tf_student.evaluation.pictures import Picture


def test_all_files_are_written(evaluation, tmp_path):
    directory = tmp_path / "work" / "evaluation_1"
    picture = Picture("same_noise", "A caption", np.zeros([8, 8, 1], np.uint8))
    stats = statistics.of(np.eye(5), "mine")
    evaluation_files.write(str(directory), evaluation, [picture], {"real": stats})
    names = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    assert names == {
        "evaluation.json",
        "evaluation.html",
        "evaluation/same_noise.png",
        "statistics/real.npz",
    }
    page = (directory / "evaluation.html").read_text()
    assert "A caption" in page
    assert "<h1>tf-student: teacher, student against images &lt;of&gt; mine" in page
    values = json.loads((directory / "evaluation.json").read_text())
    assert values["networks"]["student"]["scores"]["FID"]["mean"] == 3.0
    assert statistics.load(str(directory / "statistics/real.npz")).n == 5


def test_what_killed_evaluations_left_is_removed(tmp_path):
    key = "0a" * 20
    own = [
        "evaluation.json.tmp-0123abcd",
        "evaluation.html.tmp-0123abcd",
        "evaluation/same_noise.png.tmp-0123abcd",
        "statistics/real.npz.tmp-0123abcd",
        f"features/{key}.npz.tmp-0123abcd",
    ]
    others = [
        "samples.png.tmp-0123abcd",
        "features/mine.npz.tmp-0123abcd",
        f"features/{key}.npz",
        "statistics/real.npz.tmp-mine",
    ]
    for name in own + others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    with evaluation_files.tidied(str(tmp_path)):
        found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")}
        assert found == set(others)


def test_without_a_directory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with evaluation_files.tidied(None):
        pass
    with evaluation_files.tidied(str(tmp_path / "absent")):
        pass
    assert list(tmp_path.iterdir()) == []
