"""The page of an exported student, in a headless Chromium."""

import dataclasses
import os

import pytest
import tensorflow as tf

from tests import chromium
from tests.chromium import SHOWN, near, wait_for
from tests.networks import TINY
from tests.serving.conftest import make_model
from tf_student.data import images
from tf_student.diffusion import interpolation, noise
from tf_student.serving import web


def _make(config, base, **about):
    model = make_model(config)
    described = dataclasses.replace(
        model.about, image_shape=config.image_shape, classes=config.classes, **about
    )
    web.fill(model.student, described)(str(base))
    return model.student, str(base)


# 16 pixels: every operation that larger images need is in the graph.
@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A student of RGB images with classes, and its page."""
    config = dataclasses.replace(TINY, image_size=16, classes=4, heads=2)
    return _make(config, tmp_path_factory.mktemp("classes"), name="four")


@pytest.fixture(scope="module")
def browser():
    with chromium.opened() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser, classes):
    """The page of the student with classes, opened in a folder of a site."""
    folder, name = os.path.split(classes[1])
    with chromium.served(folder) as address:
        browser.get(f"{address}{name}/")
        yield browser


def _set(browser, name, value, event="change"):
    """Gives a field a value, as its user does."""
    browser.execute_script(
        "const field = document.querySelector(arguments[0]);"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event(arguments[2], {bubbles: true}));",
        name,
        value,
        event,
    )


def test_page_shows_the_images_of_sample(page, classes):
    expected = classes[0].generate(16, seed=0)
    wait_for(lambda: near(page.execute_script(SHOWN, "samples"), expected))
    heading = page.find_element("tag name", "h1").text
    times = page.find_element("css selector", "#samples .time").text
    assert (heading, page.title) == ("four", "four")
    assert times.endswith(" ms per image")


def test_page_shows_another_seed_number_and_class(page, classes):
    _set(page, "#samples [name=count]", "4")
    _set(page, "#samples [name=label]", "2")
    _set(page, "#samples [name=seed]", str(2**63 - 1))
    page.find_element("css selector", "#samples [type=submit]").click()
    expected = classes[0].generate(4, seed=2**63 - 1, labels=[2] * 4)
    wait_for(lambda: near(page.execute_script(SHOWN, "samples"), expected))


def test_random_seed_is_drawn(page, classes):
    page.find_element("css selector", "#samples .random").click()
    field = page.find_element("css selector", "#samples [name=seed]")
    seed = int(field.get_property("value"))
    assert seed != 2**63 - 1
    expected = classes[0].generate(4, seed=seed, labels=[2] * 4)
    wait_for(lambda: near(page.execute_script(SHOWN, "samples"), expected))


def test_slider_shows_the_interpolation(page, classes):
    student, _ = classes
    _set(page, "#interpolation [name=to]", "5")
    _set(page, "#interpolation [name=label]", "1")
    ends = [noise.normal(s, [noise.EVALUATION], student.image_shape)[0] for s in (0, 5)]
    for position in ("0", "0.25", "1"):
        _set(page, "#interpolation [name=position]", position, "input")
        z = interpolation.slerp(*ends, tf.constant([float(position)]))
        expected = images.to_uint8(student((z, tf.constant([1])))).numpy()
        wait_for(
            lambda e=expected: near(page.execute_script(SHOWN, "interpolation"), e)
        )
        text = page.find_element("css selector", "#interpolation output").text
        assert float(text) == float(position)


def test_wrong_seed_is_named(page):
    before = page.execute_script(SHOWN, "samples")
    _set(page, "#samples [name=seed]", str(2**63))
    page.find_element("css selector", "#samples [type=submit]").click()
    field = page.find_element("css selector", "#samples [name=seed]")
    message = "Enter a seed from 0 to 9223372036854775807."
    wait_for(lambda: field.get_property("validationMessage") == message)
    assert page.execute_script(SHOWN, "samples") == before


def test_browser_reports_no_error(page):
    log = page.get_log("browser")
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


def test_grey_images_and_weights_of_two_bytes(browser, tmp_path):
    config = dataclasses.replace(TINY, channels=1)
    student, folder = _make(config, tmp_path, dtype="float16")
    for variable in student.unet.variables:
        if len(variable.shape) > 1:
            variable.assign(tf.cast(tf.cast(variable, tf.float16), tf.float32))
    expected = student.generate(16, seed=0)
    with chromium.served(folder) as address:
        browser.get(address)
        wait_for(lambda: near(browser.execute_script(SHOWN, "samples"), expected))


def test_missing_weights_are_said(browser, tmp_path):
    web.fill(lambda noise: 0.5 * noise, make_model(TINY).about)(str(tmp_path))
    (tmp_path / "weights1of1.bin").unlink()
    with chromium.served(str(tmp_path)) as address:
        browser.get(address)
        status = browser.find_element("id", "status")
        wait_for(lambda: "weights1of1.bin: status 404" in status.text)
