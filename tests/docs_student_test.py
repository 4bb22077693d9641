"""The student that the documentation embeds, in a headless Chromium."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import chromium
from tests.serving import graph_model_files
from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.serving import web

DOCS = Path(__file__).parents[1] / "docs"
STUDENT = DOCS / "_static" / "student"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the documentation, built from the page with the student only."""
    sphinx = pytest.importorskip("sphinx.cmd.build", reason="needs tf-student[docs]")
    pytest.importorskip("sphinx_book_theme", reason="needs tf-student[docs]")
    folder = tmp_path_factory.mktemp("docs")
    for name in ("browser.md", "browser.png"):
        shutil.copy(DOCS / name, folder)
    arguments = ["-q", "-c", str(DOCS), "-D", "root_doc=browser"]
    assert sphinx.build_main([*arguments, str(folder), str(folder / "html")]) == 0
    return folder / "html"


@pytest.fixture(scope="module")
def expected():
    """The images of the model by TensorFlow."""
    draw = graph_model_files.function_of(*graph_model_files.read(STUDENT))
    z = noise.normal(0, noise.EVALUATION + np.arange(16), (8, 8, 1)).numpy()
    drawn = [draw(tf.constant(one[None])).numpy() for one in z]
    return images.to_uint8(np.concatenate(drawn)).numpy()


def _draws(browser, expected):
    """Waits for the images in the page that is open, and looks for errors of it."""
    assert expected.std() > 60
    chromium.wait_for(
        lambda: chromium.near(
            browser.execute_script(chromium.SHOWN, "samples"), expected
        )
    )
    log = browser.get_log("browser")
    return [entry for entry in log if "/student/" in entry["message"]] == []


def test_the_page_of_the_package_draws_the_images_of_the_model(expected, tmp_path):
    shutil.copytree(STUDENT, tmp_path / "student")
    web.copy_page(str(tmp_path / "student"))
    with chromium.opened() as browser, chromium.served(str(tmp_path)) as address:
        browser.get(address + "student/")
        assert _draws(browser, expected)


def test_the_site_embeds_the_page(site, expected):
    with chromium.opened() as browser, chromium.served(str(site)) as address:
        browser.get(address + "browser.html")
        browser.switch_to.frame(browser.find_element("css selector", "iframe"))
        assert _draws(browser, expected)


def test_the_site_has_a_picture_where_the_page_cannot_open(site):
    with chromium.opened() as browser:
        browser.get((site / "browser.html").as_uri())
        assert browser.find_elements("css selector", "iframe") == []
        picture = browser.find_element("css selector", "figure.student img")
        assert picture.get_property("naturalWidth") > 0


def test_the_model_is_small():
    assert sum(path.stat().st_size for path in STUDENT.iterdir()) < 2.5e6
