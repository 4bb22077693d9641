import os
import re

import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.demo import run_demo
from tf_student.serving import metadata


def test_leaves_pictures_a_page_and_every_part(demo_run):
    assert {
        "curves.png",
        "evaluation.html",
        "evaluation.json",
        "export",
        "interpolation.png",
        "matched",
        "pairs",
        "report.html",
        "samples",
        "samples.png",
        "student",
        "teacher",
    } <= set(os.listdir(demo_run.directory))


@pytest.mark.parametrize("name", ["curves.png", "interpolation.png", "samples.png"])
def test_pictures_are_readable(demo_run, name):
    assert tf.io.decode_png(tf.io.read_file(demo_run / name)).shape.rank == 3


def test_curves_have_a_panel_for_each_of_the_three_runs(demo_run):
    picture = tf.io.decode_png(tf.io.read_file(demo_run / "curves.png"))
    assert picture.shape[1] == 3 * 5 * 110


def test_page_shows_the_pictures_and_both_networks(demo_run):
    with open(demo_run / "report.html") as file:
        page = file.read()
    assert len(re.findall('src="data:image/png;base64,', page)) >= 3
    names = ("", "teacher", "student", "matched")
    assert "".join(f"<th>{name}</th>" for name in names) in page
    assert "<title>tf-student: digits" in page


def test_export_is_a_saved_model(demo_run):
    assert tf.saved_model.contains_saved_model(demo_run / "export/1")
    about = metadata.read(demo_run / "export/1")
    assert (about.name, about.objective) == ("digits", "sid")


def test_second_run_goes_on(demo_run):
    def stamps():
        shards = sorted(os.listdir(demo_run.pairs))
        paths = [f"{demo_run.pairs}/{name}" for name in shards if "tfrecord" in name]
        paths += [
            f"{demo_run.student}/model.keras",
            f"{demo_run.matched}/model.keras",
            demo_run / "export/1/saved_model.pb",
        ]
        return [os.stat(path).st_mtime_ns for path in paths]

    before = stamps()
    again = run_demo(str(demo_run.directory), preset=TINY, run=RUN)
    assert stamps() == before
    for name, measured in again.networks.items():
        first = demo_run.evaluation.networks[name].scores["FID"].mean
        assert measured.scores["FID"].mean == pytest.approx(first, rel=1e-3)
