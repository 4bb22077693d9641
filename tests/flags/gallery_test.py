"""The command `gallery` in its own process, with real sockets and a real browser."""

import base64
import dataclasses
import http.client
import json
import shutil
import signal
import socket
import struct
import subprocess
import time
import zlib

import pytest

from tests.client import saved_models
from tests.flags import commands


@dataclasses.dataclass(frozen=True)
class Gallery:
    """A running gallery."""

    process: subprocess.Popen
    port: int


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A work directory with a student's and a teacher's export."""
    work = tmp_path_factory.mktemp("models")
    saved_models.write(work / "export" / "1")
    saved_models.write(work / "export_teacher" / "1", calls=5)
    return work


@pytest.fixture(scope="module")
def gallery(models):
    process = commands.start("gallery", f"--work_dir={models}", "--port=0")
    line = process.stdout.readline()
    assert line.startswith("The gallery is at http://127.0.0.1:"), process.communicate()
    yield Gallery(process, int(line.split("/")[2].split(":")[1]))
    process.kill()
    process.communicate()


def _get(gallery, path):
    connection = http.client.HTTPConnection("127.0.0.1", gallery.port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _send(gallery, data):
    """The status that raw bytes are answered with; none if the connection breaks."""
    with socket.create_connection(("127.0.0.1", gallery.port), timeout=20) as raw:
        try:
            raw.sendall(data)
            answer = raw.makefile("rb").readline()
        except OSError:
            return None
    return int(answer.split()[1]) if answer else None


def test_both_models_draw_their_own_images_of_a_seed(gallery):
    answers = {
        name: _get(gallery, f"/sample?model={name}&seed=5&count=3")
        for name in ("student", "teacher")
    }
    for status, body in answers.values():
        assert status == 200 and body["milliseconds"] > 0
        assert [base64.b64decode(p)[:4] for p in body["pngs"]] == [b"\x89PNG"] * 3
    assert answers["student"][1]["pngs"] != answers["teacher"][1]["pngs"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /" + b"a" * 16_500 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 16_500, 431),
        (b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\x00\xff\r\n\r\n", 400),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
def test_any_bytes_are_answered(gallery, data, status):
    assert _send(gallery, data) == status
    assert gallery.process.poll() is None


def test_megabytes_of_header_do_not_stop_it(gallery):
    # The answer may be lost: the server does not read to the end.
    assert _send(gallery, b"GET /" + b"a" * 4_000_000) in (431, None)
    assert _get(gallery, "/models")[0] == 200


def test_many_connections_that_say_nothing_do_not_stop_it(gallery):
    idle = [
        socket.create_connection(("127.0.0.1", gallery.port), timeout=20)
        for _ in range(40)
    ]
    try:
        assert _get(gallery, "/models")[0] == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.fixture(scope="module")
def browser(gallery, tmp_path_factory):
    """A headless browser at the page; its downloads go to `browser.downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs a Chromium and its chromedriver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(downloads)}
    )
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1200,1300"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    browser.downloads = downloads
    browser.get(f"http://127.0.0.1:{gallery.port}/")
    yield browser
    browser.quit()


def _wait(condition):
    end = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def _sources(browser, place):
    """Base64 of the PNGs that both models show at a place of the page, by model."""
    script = """
        const shown = {};
        for (const card of document.querySelectorAll(arguments[0] + " article")) {
            const images = card.querySelectorAll(arguments[1]);
            shown[card.dataset.model] = card.classList.contains("stale") ? []
                : [...images].filter((image) => image.naturalWidth === 8)
                    .map((image) => image.src.split(",")[1]);
        }
        return shown;
    """
    return browser.execute_script(script, *place)


_DRAWN = ("#draw", ".images img")
_WALKED = ("#interpolate", ".images img")
_FRAME = ("#interpolate", ".frame img")


def _drawn(browser, gallery, path):
    """What the server says both models draw."""
    return {
        name: _get(gallery, path.format(name))[1]["pngs"]
        for name in ("student", "teacher")
    }


def _css(browser, selector):
    return browser.find_element("css selector", selector)


def _saved(browser, name):
    """A downloaded file, once it is whole."""
    path = browser.downloads / name
    data = _wait(lambda: path.exists() and path.read_bytes())
    path.unlink()
    return data


def test_page_opens_with_images_and_times_of_both(browser, gallery):
    expected = _drawn(browser, gallery, "/sample?model={}&seed=0&count=16")
    _wait(lambda: _sources(browser, _DRAWN) == expected)
    for model in ("student", "teacher"):
        text = _css(browser, f"#draw [data-model={model}] .time").text
        assert " per image, " in text and " in total" in text
    ratio = _css(browser, "#draw [data-model=student] .times").text
    assert ratio.endswith(" times as fast")


def test_seed_that_is_typed_is_drawn(browser, gallery):
    seed = _css(browser, "#draw [name=seed]")
    seed.clear()
    seed.send_keys("9223372036854775807\n")
    path = "/sample?model={}&seed=9223372036854775807&count=16"
    expected = _drawn(browser, gallery, path)
    _wait(lambda: _sources(browser, _DRAWN) == expected)


def test_random_seed_is_another_one(browser, gallery):
    before = _css(browser, "#draw [name=seed]").get_property("value")
    _css(browser, "#draw .random").click()
    after = _css(browser, "#draw [name=seed]").get_property("value")
    assert before != after
    expected = _drawn(browser, gallery, f"/sample?model={{}}&seed={after}&count=16")
    _wait(lambda: _sources(browser, _DRAWN) == expected)


def test_slider_chooses_an_image_of_the_walk(browser, gallery):
    expected = _drawn(
        browser, gallery, "/interpolate?model={}&seed_a=0&seed_b=1&steps=8"
    )
    _wait(lambda: _sources(browser, _WALKED) == expected)
    slider = _css(browser, "#interpolate input[type=range]")
    shown = []
    for _ in range(8):
        shown.append(_wait(lambda: _sources(browser, _FRAME)))
        slider.send_keys("\ue014")  # The arrow to the right.
    for name, pngs in expected.items():
        assert [frame[name][0] for frame in shown] == pngs
    assert _css(browser, "#interpolate output").text == "1.00"


def test_images_are_downloaded(browser, gallery):
    seed = _css(browser, "#draw [name=seed]")
    seed.clear()
    seed.send_keys("7\n")
    expected = _drawn(browser, gallery, "/sample?model={}&seed=7&count=16")
    _wait(lambda: _sources(browser, _DRAWN) == expected)
    _css(browser, "#draw [data-model=teacher] .images a:nth-child(3)").click()
    data = _saved(browser, "teacher-seed7-02.png")
    assert base64.b64encode(data).decode() == expected["teacher"][2]


def test_all_images_are_downloaded_as_one(browser):
    _css(browser, "#draw [data-model=student] .all").click()
    data = _saved(browser, "student-seed7.png")
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == (4 * 8, 4 * 8)
    assert zlib.crc32(data[12:29]) == struct.unpack(">I", data[29:33])[0]


def test_wrong_seed_is_not_sent(browser):
    seed = _css(browser, "#draw [name=seed]")
    seed.clear()
    seed.send_keys("9223372036854775808")
    _css(browser, "#draw .primary").click()
    assert "Enter a seed from 0 to 9223372036854775807." == seed.get_property(
        "validationMessage"
    )


def test_page_has_no_errors(browser):
    assert browser.get_log("browser") == []


def test_interrupt_ends_it(gallery):
    gallery.process.send_signal(signal.SIGINT)
    assert gallery.process.wait(30) == 0
    assert gallery.process.stderr.read() == ""
