"""Checks deploy/ without Docker and a cluster: the files parse and agree."""

from pathlib import Path

import pytest
import yaml

from tests.compose_test import filled
from tf_student.client.client_config import ClientConfig

DEPLOY = Path(__file__).parents[1] / "deploy"
# Flags that `tensorflow_model_server --help` lists.
FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
}


def _flags(arguments):
    return dict(argument.removeprefix("--").split("=") for argument in arguments)


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(filled((DEPLOY / "compose.yaml").read_text(), {}))["services"]


@pytest.fixture(scope="module")
def manifest():
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def pod(manifest):
    return manifest["Deployment"]["spec"]["template"]["spec"]


def test_compose_starts_one_server_and_another_on_request(services):
    assert list(services) == ["serving", "batching"]
    assert "profiles" not in services["serving"]
    assert services["batching"]["profiles"] == ["batching"]


@pytest.mark.parametrize("name", ["serving", "batching"])
def test_compose_finds_the_models_where_they_are_mounted(services, name):
    service = services[name]
    (mount,) = service["volumes"]
    assert (mount["target"], mount["read_only"]) == ("/models/digits", True)
    assert mount["source"] == "../runs/digits/export"
    flags = _flags(service["command"])
    assert flags["model_config_file"] == "/models/digits/models.config"
    assert set(flags) <= FLAGS


def test_only_the_second_server_batches(services):
    assert "enable_batching" not in _flags(services["serving"]["command"])
    flags = _flags(services["batching"]["command"])
    assert flags["batching_parameters_file"] == "/models/digits/batching.config"


def test_compose_is_open_only_to_this_machine(services):
    ports = [port for service in services.values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports) == 4


def test_the_client_finds_the_server(services):
    published = services["serving"]["ports"][1]
    assert ClientConfig().server == f"http://{published.rpartition(':')[0]}"


def test_manifest_has_a_server_and_its_service(manifest, pod):
    assert set(manifest) == {"Service", "Deployment"}
    labels = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifest["Service"]["spec"]["selector"] == labels
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    (container,) = pod["containers"]
    named = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert named == {"grpc": 8500, "rest": 8501}
    for port in manifest["Service"]["spec"]["ports"]:
        assert named[port["targetPort"]] == port["port"]


def test_manifest_finds_the_models_where_they_are_mounted(pod):
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert [volume["name"] for volume in pod["volumes"]] == [mount["name"]]
    flags = _flags(container["args"])
    assert flags["model_config_file"] == f"{mount['mountPath']}/models.config"
    assert set(flags) <= FLAGS


def test_probes_ask_for_the_model_that_is_served(pod):
    (container,) = pod["containers"]
    for probe in ("startupProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked == {"path": "/v1/models/digits", "port": "rest"}


def test_both_serve_the_same_release(services, pod):
    images = {service["image"] for service in services.values()}
    assert images == {pod["containers"][0]["image"]}


def test_the_training_job_restarts_its_workers():
    job = yaml.safe_load((DEPLOY / "tfjob.yaml").read_text())
    assert (job["kind"], list(job["spec"]["tfReplicaSpecs"])) == ("TFJob", ["Worker"])
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    assert worker["restartPolicy"] == "OnFailure"
    (container,) = worker["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"
    assert container["command"] == ["tf-student", "distill"]
