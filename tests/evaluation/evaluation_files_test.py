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
