"""Attacks the gallery: random requests, slow connections, SIGTERM under load.

    python benchmarks/soak_gallery.py --seconds=60

Hypothesis sends requests that are nearly valid, with other hosts and origins, and
random bytes, beside 200 connections that send a byte at a time. Every whole request
must have an answer, and no answer may be a 5xx, other than 503 of a full queue and 501
of an unknown encoding, or have a path or a traceback. The page must answer meanwhile,
no file and no thread may be left at the end, and SIGTERM must end the gallery within
five seconds while requests run and wait.
"""

import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.client import saved_models  # noqa: E402
from tests.gallery import attack, random_requests  # noqa: E402

SLOW = 200
# Seconds after which the gallery closes slow connections, and a few more.
CLOSED = 30


def attack_for(seconds: float, pid: int, port: int) -> collections.Counter[int | None]:
    """Sends random requests; returns the number of answers by status."""
    statuses: collections.Counter[int | None] = collections.Counter()

    def count(request: random_requests.Request | bytes, status: int | None) -> None:
        statuses[status] += 1

    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with attack.slow_connections(port, SLOW) as slow:
            while slow and time.monotonic() < end:
                random_requests.send(port, number, 100, count)
                number += 1
                assert attack.get(port, "/models") == 200
                files, threads = attack.resources(pid)
                print(
                    f"{sum(statuses.values())} requests, {len(slow)} slow "
                    f"connections, {files} files, {threads} threads",
                    flush=True,
                )
    return statuses


def terminate(gallery: subprocess.Popen[str], port: int) -> float:
    """Ends the gallery under load; returns the seconds that it took."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                attack.get(port, "/sample?model=student&seed=1&count=32")
            except OSError:
                return

    threads = [threading.Thread(target=ask) for _ in range(16)]
    with attack.slow_connections(port, SLOW):
        for thread in threads:
            thread.start()
        time.sleep(1)
        begun = time.monotonic()
        gallery.terminate()
        code = gallery.wait(5)
        took = time.monotonic() - begun
        stop.set()
    assert code == 0, code
    return took


def main() -> None:
    """Attacks a gallery of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as scratch:
        model = saved_models.write(scratch)
        command = [sys.executable, "-m", "tf_student.flags.gallery", "--port=0"]
        gallery = subprocess.Popen(
            [*command, f"--student_model={model}"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert gallery.stdout is not None
            port = int(gallery.stdout.readline().split("/")[2].split(":")[1])
            # All threads of TensorFlow and of the server have started then.
            for _ in range(20):
                attack.get(port, "/sample?model=student&seed=1&count=32")
            before = attack.resources(gallery.pid)
            statuses = attack_for(seconds, gallery.pid, port)
            after = attack.resources(gallery.pid)
            clean = attack.resources_at_most(gallery.pid, before, CLOSED)
            assert clean, (before, after, attack.resources(gallery.pid))
            took = terminate(gallery, port)
        finally:
            gallery.kill()
            gallery.wait()
    print(
        f"{sum(statuses.values())} requests beside {SLOW} slow connections, no 500; "
        f"files and threads as before ({before[0]} and {before[1]}); ended {took:.1f} "
        f"s after SIGTERM. Answers by status: {dict(statuses)}"
    )


if __name__ == "__main__":
    main()
