"""Both protocols, with a server that speaks them."""

import shutil
import socket
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from tests.client import model_server, saved_models
from tf_student.client import arrays, rest, rpc
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError

CONNECTIONS = {"rest": rest.Connection, "rpc": rpc.Connection}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two versions; the second is darker."""
    base = tmp_path_factory.mktemp("model")
    return {
        1: saved_models.write(base / "1"),
        2: saved_models.write(base / "2", calls=9),
    }


@pytest.fixture(scope="module")
def addresses(paths):
    with model_server.serving("digits", paths, {"stable": 1}) as addresses:
        yield addresses


@pytest.fixture(params=CONNECTIONS)
def protocol(request):
    return request.param


@pytest.fixture
def connect(addresses, protocol):
    """Opens connections, and closes them after the test."""
    opened = []

    def connect(server="", **options):
        options = {"model": "digits", **options}
        config = ClientConfig(server=server or addresses[protocol], **options)
        opened.append(CONNECTIONS[protocol](config))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module")
def expected(paths):
    def png(version, seed, count):
        signature = tf.saved_model.load(paths[version]).signatures["png"]
        (files,) = signature(
            seed=tf.constant(seed, tf.int64), count=tf.constant(count)
        ).values()
        return list(files.numpy())

    return png


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)],
    ids=["newest", "first", "second", "label"],
)
def test_images_are_the_models(connect, expected, options, version):
    pngs = connect(**options).png(7, 3)
    assert pngs == expected(version, 7, 3)
    assert tf.io.decode_png(pngs[0]).shape == saved_models.SHAPE


def test_largest_seed_arrives_exactly(connect, expected):
    assert connect().png(2**63 - 1, 1) == expected(2, 2**63 - 1, 1)


def test_connection_sends_several_requests(connect, expected):
    connection = connect()
    assert [connection.png(seed, 2) for seed in (3, 4)] == [
        expected(2, 3, 2),
        expected(2, 4, 2),
    ]


@pytest.mark.parametrize(
    ("options", "count", "status", "message"),
    [
        ({"model": "faces"}, 1, ("404", "NOT_FOUND"), "Latest(faces)"),
        ({"version": 3}, 1, ("404", "NOT_FOUND"), "Servable not found"),
        ({"label": "canary"}, 1, ("404", "NOT_FOUND"), "Servable not found"),
        ({}, 0, ("400", "INVALID_ARGUMENT"), "count must be positive"),
    ],
    ids=["model", "version", "label", "count"],
)
def test_refusal_is_one_line(connect, protocol, options, count, status, message):
    with pytest.raises(ServerError) as raised:
        connect(**options).png(0, count)
    text = str(raised.value)
    assert status[protocol == "rpc"] in text and message in text
    assert "\n" not in text


def test_missing_server_is_one_line(connect, protocol):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        scheme = "http" if protocol == "rest" else "grpc"
        server = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ServerError, match=f"^{server} ") as raised:
            connect(server, timeout=5.0).png(0, 1)
    assert "\n" not in str(raised.value)


def test_silent_server_is_a_timeout(connect, protocol):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scheme = "http" if protocol == "rest" else "grpc"
        server = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerError, match=r"timed out|DEADLINE_EXCEEDED"):
            connect(server, timeout=0.2).png(0, 1)


@pytest.mark.parametrize(("options", "version"), [({}, 2), ({"label": "stable"}, 1)])
def test_images_of_noise_are_the_models(connect, paths, options, version):
    pngs = connect(signature="serving_default", **options).png(7, 3)
    noise = arrays.noise(7, 3, saved_models.SHAPE)
    loaded = tf.saved_model.load(paths[version])
    expected = loaded.signatures["serving_default"](noise=tf.constant(noise))["images"]
    np.testing.assert_array_equal([tf.io.decode_png(png) for png in pngs], expected)


def test_noise_for_another_model_is_refused(connect, protocol):
    status = ("404", "NOT_FOUND")[protocol == "rpc"]
    with pytest.raises(ServerError, match=f"{status}.*Latest.faces"):
        connect(signature="serving_default", model="faces")


def test_model_without_noise_is_refused(protocol, tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([], tf.float32, "x")
    module.twice = tf.function(lambda x: {"y": 2 * x}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path), signatures={"twice": module.twice})
    with model_server.serving("digits", {1: str(tmp_path)}, {}) as addresses:
        config = ClientConfig(server=addresses[protocol], signature="serving_default")
        with pytest.raises(ServerError, match="the input `noise`"):
            CONNECTIONS[protocol](config)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return paths


@pytest.fixture(scope="module")
def secure(paths, certificate):
    with model_server.serving("digits", paths, {}, certificate) as addresses:
        yield addresses


def test_tls_with_an_own_authority(connect, secure, protocol, certificate):
    connection = connect(secure[protocol], ca_file=str(certificate[0]))
    assert connection.png(7, 1)[0].startswith(b"\x89PNG")


def test_tls_with_an_unknown_authority_is_refused(connect, secure, protocol):
    with pytest.raises(ServerError, match=r"CERTIFICATE_VERIFY_FAILED|UNAVAILABLE"):
        connect(secure[protocol], timeout=5.0).png(7, 1)


def test_missing_authorities_are_named(connect, protocol, tmp_path):
    server = {"rest": "https://127.0.0.1", "rpc": "grpcs://127.0.0.1"}[protocol]
    with pytest.raises(InputError, match=f"`ca_file` must be .*ca_file={tmp_path}/a"):
        connect(server, ca_file=str(tmp_path / "a"))
