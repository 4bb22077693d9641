import base64
import re
from html.parser import HTMLParser

import matplotlib.figure
import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import grids
from tf_student.evaluation import report


@pytest.fixture
def picture(tmp_path):
    path = str(tmp_path / "picture.png")
    grids.write_png(path, np.full([4, 4, 1], 7, np.uint8))
    return path


@pytest.fixture
def page(evaluation, picture, tmp_path):
    path = tmp_path / "report.html"
    report.write_report(
        str(path), "A <b>title</b>", evaluation, {'Caption "one" & <two>': picture}
    )
    return path.read_text()


def test_page_needs_no_other_file(page):
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert "http" not in page and "<script" not in page


def test_picture_is_on_the_page(page, picture):
    data = re.search(r'base64,([^"]*)"', page).group(1)
    with open(picture, "rb") as file:
        assert base64.b64decode(data) == file.read()


def test_text_is_escaped(page):
    assert "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" in page
    assert "<h2>Caption &quot;one&quot; &amp; &lt;two&gt;</h2>" in page
    assert "images &lt;of&gt; mine &amp; yours" in page


def test_tags_are_balanced(page):
    class Parser(HTMLParser):
        open_tags = []

        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "img", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    parser = Parser()
    parser.feed(page)
    assert parser.open_tags == []


def test_table_has_a_column_for_each_network(page):
    assert "<tr><th></th><th>teacher</th><th>student</th></tr>" in page
    for row in (
        "<td>FID</td><td>2.000 ± 0.500</td><td>3.000 ± 0.500</td>",
        "<td>KID</td><td>0.250 ± 0.000</td><td>0.250 ± 0.000</td>",
        "<td>KID: standard error</td><td>0.0123</td><td>0.0123</td>",
        "<td>network calls</td><td>20</td><td>1</td>",
        "<td>ms per image</td><td>1.500</td><td>0.062</td>",
    ):
        assert f"<tr>{row}</tr>" in page


def test_page_has_the_protocol_and_the_verdict(page):
    assert "10,000 generated images in each of 3 range(s) of seeds against" in page
    assert "1,797 real images" in page
    assert "(resized); uint8 images; float64 statistics; features: digits." in page
    assert "FID(student) / FID(teacher) = 1.500." in page
    assert "FID between teacher and student: 1.500 ± 0.250." in page
    assert "FID between two halves of the real images: 2.250." in page
    assert "5 pairs: L1 3.00 and L2 4.00 grey levels, PSNR 31.00 dB, SSIM 0.900" in page
    assert "Limited." in page


def test_missing_picture_writes_no_page(evaluation, tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(tf.errors.NotFoundError):
        report.write_report(str(path), "t", evaluation, {"c": str(tmp_path / "no.png")})
    assert list(tmp_path.iterdir()) == []


def test_curves_may_be_remote():
    path = "ram://report/curves.png"
    report.draw_curves(path, {"Teacher": [{"step": 1, "loss": 0.5}]})
    assert tf.io.decode_png(tf.io.read_file(path)).shape[2] == 4


def test_curves_are_a_png_with_a_panel_for_each_run(tmp_path):
    lines = [{"step": s, "loss": 1.0 / s} for s in (1, 2, 3)]
    held_out = [{"step": 2, "held_out_loss": 0.7}]
    paths = [str(tmp_path / name) for name in ("single.png", "double.png")]
    report.draw_curves(paths[0], {"Teacher": lines})
    report.draw_curves(paths[1], {"Teacher": lines, "Student": lines + held_out})
    single, double = (tf.io.decode_png(tf.io.read_file(path)).numpy() for path in paths)
    assert double.shape[1] == 2 * single.shape[1]
    assert np.std(single) > 0


def test_curves_of_matching_show_negative_losses_and_the_fake_score(
    tmp_path, monkeypatch
):
    drawn, save = [], matplotlib.figure.Figure.savefig

    def record(figure, *arguments, **options):
        drawn.extend(figure.axes)
        save(figure, *arguments, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", record)
    student = [{"step": 1, "loss": 20.0}, {"step": 2, "loss": 10.0}]
    matched = [
        {"step": 1, "loss": -2.5, "fake_loss": 0.13, "score_gap": 1.2},
        {"step": 2, "loss": 0.1, "fake_loss": 0.11, "score_gap": 0.3},
    ]
    report.draw_curves(
        str(tmp_path / "c.png"), {"student": student, "matched": matched}
    )
    assert [axes.get_title() for axes in drawn] == ["student", "matched"]
    assert [axes.get_yscale() for axes in drawn] == ["log", "linear"]
    labels, losses = zip(
        *((line.get_label(), [*line.get_ydata()]) for line in drawn[1].lines),
        strict=True,
    )
    assert labels == ("loss", "fake loss")
    assert losses == ([-2.5, 0.1], [0.13, 0.11])
    low, high = drawn[1].get_ylim()
    assert low < -2.5 and high > 0.13
