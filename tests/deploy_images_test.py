"""Checks the Dockerfile without Docker, and the images that the manifests name."""

import re
from pathlib import Path

import pytest
import yaml

from tf_student.runtime.version import __version__

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
OWN = {"cpu": f"tf-student:{__version__}", "cuda": f"tf-student:{__version__}-cuda"}
SERVING = "tensorflow/serving:2.21.0"


def _instructions(text: str) -> list[tuple[str, str]]:
    """Instructions and their arguments, with continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line]


def _documents():
    """Manifests of Kubernetes in deploy/ and in the documentation, by a name."""
    texts = {path.name: path.read_text() for path in (ROOT / "deploy").glob("*.yaml")}
    for page in (ROOT / "docs").glob("*.md"):
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)
        texts |= {f"{page.name}-{i}": block for i, block in enumerate(blocks)}
    return {
        f"{name}:{document['kind']}": document
        for name, text in sorted(texts.items())
        for document in yaml.safe_load_all(text)
        if "apiVersion" in document
    }


DOCUMENTS = _documents()


def _named(value, key):
    """All values of a key, anywhere below a value."""
    if isinstance(value, dict):
        found = [value[key]] if key in value else []
        return found + [v for below in value.values() for v in _named(below, key)]
    if isinstance(value, list):
        return [found for item in value for found in _named(item, key)]
    return []


@pytest.fixture(scope="module")
def instructions():
    return _instructions(DOCKERFILE.read_text())


@pytest.fixture(scope="module")
def final(instructions):
    """The instructions of the last stage."""
    starts = [i for i, (name, _) in enumerate(instructions) if name == "FROM"]
    return dict(instructions[starts[-1] :])


def _arguments(instructions):
    pairs = [value.split("=", 1) for name, value in instructions if name == "ARG"]
    return dict(pairs)


def test_base_is_one_release(instructions):
    base = _arguments(instructions)["BASE"]
    assert re.fullmatch(r"debian:\d+\.\d+-slim", base)
    stages = [value for name, value in instructions if name == "FROM"]
    assert stages == ["${BASE} AS build", "${BASE}"]


def test_command_runs_as_a_user(final):
    assert final["USER"] == "1000"
    assert final["WORKDIR"] == "/work"
    assert final["ENTRYPOINT"] == '["tf-student"]'


def test_compiler_stays_in_the_first_stage(final):
    assert "g++" not in final["RUN"]
    assert final["COPY"] == "--from=build /opt/venv /opt/venv"


def test_every_installation_is_pinned(instructions):
    installed = [
        part
        for name, value in instructions
        if name == "RUN"
        for part in value.split("&&")
        if "pip install" in part
    ]
    assert len(installed) == 2
    assert all("--constraint=constraints.txt" in part for part in installed)
    pins = (ROOT / "deploy" / "constraints-cuda.txt").read_text().splitlines()
    pins = [line for line in pins if not line.startswith("#")]
    assert len(pins) > 10
    assert all(re.fullmatch(r"nvidia-[a-z0-9-]+==[0-9.]+", line) for line in pins)


def test_extras_exist(instructions):
    extras = _arguments(instructions)["EXTRAS"].split(",")
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert all(any(line.startswith(f"{e} = [") for line in lines) for e in extras)


def test_what_is_copied_exists_and_is_not_ignored(instructions):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for name, value in instructions
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)


def test_comments_build_the_images_of_the_manifests():
    text = DOCKERFILE.read_text()
    assert {f"--tag={image}" for image in OWN.values()} <= set(text.split())
    assert set(re.findall(r"tf-student:\S+", text)) == set(OWN.values())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_manifests_name_images_that_exist(name):
    images = _named(DOCUMENTS[name], "image")
    assert set(images) <= {*OWN.values(), SERVING}
    assert images or "Service" in name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_devices_are_asked_for_only_with_cuda(name):
    for containers in _named(DOCUMENTS[name], "containers"):
        for container in containers:
            limits = container.get("resources", {}).get("limits", {})
            assert ("nvidia.com/gpu" in limits) == (container["image"] == OWN["cuda"])


def test_compose_serves_the_same_release():
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    assert set(_named(services["services"], "image")) == {SERVING}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "TFJob" not in name])
def test_manifests_fit_the_schemas_of_kubernetes(name):
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs kubernetes-validate from PyPI"
    )
    validate.validate(DOCUMENTS[name], validate.latest_version(), strict=True)
