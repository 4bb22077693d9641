"""Every example of Docker Compose, as `docker compose config` reads it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "deploy" / "compose.yaml"


def filled(text: str, environment: dict[str, str]) -> str:
    """Replaces variables by their values or their defaults, as Compose does."""
    return re.sub(
        r"\$\{([A-Z_]+):-([^}]*)\}", lambda m: environment.get(m[1]) or m[2], text
    )


def _commands() -> list[str]:
    """The commands of `docker compose` in the documentation and in the file itself."""
    pages = [COMPOSE, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    pattern = r"^(?:#\s+)?`?((?:[A-Z_]+=\S+ )*docker compose [^\n`]+)"
    return [
        command
        for page in sorted(pages)
        for command in re.findall(pattern, page.read_text(), re.M)
    ]


def _blocks() -> dict[str, str]:
    """The Compose files that the documentation shows, by a name."""
    return {
        f"{page.name}-{number}": block
        for page in sorted((ROOT / "docs").glob("*.md"))
        for number, block in enumerate(
            re.findall(r"^```ya?ml\n(.*?)^```", page.read_text(), re.M | re.S)
        )
        if re.search(r"^services:", block, re.M)
    }


COMMANDS = _commands()
BLOCKS = _blocks()


def _check(text, folder):
    """Validates against the schema of the Compose Specification."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    path = folder / "compose.yaml"
    path.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", str(path)]
    command.append("--builtin-schema=vendor.compose-spec")
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_examples_are_found():
    assert len(COMMANDS) >= 5
    assert any(command.startswith("MODEL=") for command in COMMANDS)
    assert any("--profile" in command for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_example_has_a_file_and_profiles_that_exist(command):
    words = shlex.split(command)
    text = COMPOSE.read_text()
    variables = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert {word.split("=")[0] for word in words[: words.index("docker")]} <= variables
    options = dict(zip(words, [*words[1:], ""], strict=True))
    options |= dict(w.split("=", 1) for w in words if w.startswith("--") and "=" in w)
    if "--file" in options:
        assert ROOT / options["--file"] == COMPOSE
    services = yaml.safe_load(text)["services"].values()
    profiles = {name for service in services for name in service.get("profiles", [])}
    assert {options.get("--profile")} - {None} <= profiles


def _files() -> dict[str, str]:
    """The file with the variables of every example, and those that pages show."""
    found = {name: filled(block, {}) for name, block in BLOCKS.items()}
    for command in COMMANDS:
        words = command.split("docker")[0].split()
        environment = dict(word.split("=", 1) for word in words)
        found[" ".join(words)] = filled(COMPOSE.read_text(), environment)
    return found


FILES = _files()


@pytest.mark.parametrize("name", FILES, ids=lambda name: name or "defaults")
def test_example_fits_the_schema_of_compose(name, tmp_path):
    assert "${" not in FILES[name]
    code, said = _check(FILES[name], tmp_path)
    assert code == 0, said


def test_variables_are_in_the_file():
    text = FILES["MODEL=cifar10 EXPORT_DIR=/data/cifar10/export"]
    volume = yaml.safe_load(text)["services"]["serving"]["volumes"][0]
    assert volume["source"] == "/data/cifar10/export"
    assert volume["target"] == "/models/cifar10"


def test_a_misspelt_key_is_refused(tmp_path):
    text = filled(COMPOSE.read_text(), {}).replace("healthcheck:", "healthchek:")
    code, said = _check(text, tmp_path)
    assert code == 1 and "healthchek" in said
