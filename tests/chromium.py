"""A headless browser, where one is installed."""

import contextlib
import functools
import http.server
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

# A script that returns the RGBA bytes of the images in a form of a student's page.
SHOWN = """
    const form = document.getElementById(arguments[0]);
    return [...form.querySelectorAll("canvas")].map((canvas) => {
        const {width, height} = canvas;
        return [...canvas.getContext("2d").getImageData(0, 0, width, height).data];
    });
"""


def near(shown: list[list[int]], expected: np.ndarray) -> bool:
    """Whether RGBA bytes are the images, but for single levels."""
    count, height, width, _ = expected.shape
    if len(shown) != count:
        return False
    pixels = np.array(shown).reshape(count, height, width, 4)
    # A canvas on which nothing was drawn yet is transparent.
    if not np.all(pixels[..., 3] == 255):
        return False
    difference = np.abs(pixels[..., :3] - expected.astype(int))
    return bool(difference.max() <= 1 and (difference > 0).mean() < 0.01)


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits for a condition of a page, for at most 40 seconds."""
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """Yields a browser that finds no host but this machine; skips without one."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs a Chromium and its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--window-size=900,1200",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    browser.set_script_timeout(60)
    try:
        yield browser
    finally:
        browser.quit()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
    """Yields the address of a static file server for a folder."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
