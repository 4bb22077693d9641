import pytest

from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"server": "localhost:8501"}, "`server` must be like http://"),
        ({"server": "ftp://host"}, "server='ftp://host'"),
        ({"server": "http://"}, "server='http://'"),
        ({"server": "http://host:many"}, "server='http://host:many'"),
        ({"server": "http://[::1"}, "`server` must be like http://"),
        ({"server": "http://host\n/"}, "`server` must be like http://"),
        ({"ca_file": "a.pem"}, "`ca_file` must be empty for a server without TLS"),
        ({"ca_file": "a", "server": "grpc://host"}, "`ca_file` must be empty for"),
        ({"signature": "sample"}, "`signature` must be one of: png, serving_default."),
        ({"model": "../admin"}, "`model` must have only letters"),
        ({"model": ""}, "`model` must have only letters"),
        ({"label": "a/b"}, "`label` must have only letters"),
        ({"version": -1}, "version=-1"),
        ({"version": 2**63}, "`version` must be at most 9223372036854775807."),
        ({"version": 2, "label": "a"}, "`label` must be empty if `version` is set"),
        ({"count": 0}, "count=0"),
        ({"count": 2**31}, "`count` must be at most 2147483647"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "seed=9223372036854775808"),
        ({"seed": 2**63 - 1, "requests": 2}, "`seed` must be below"),
        ({"requests": 0}, "requests=0"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
    ],
)
def test_wrong_value_is_named(values, message):
    with pytest.raises(InputError) as raised:
        ClientConfig(**values)
    assert message in str(raised.value)


@pytest.mark.parametrize("server", ["https://host:8501", "grpcs://host:8500"])
def test_tls_is_known(server):
    assert ClientConfig(server=server, ca_file="a.pem").ca_file == "a.pem"


def test_last_seed_is_allowed():
    assert ClientConfig(seed=2**63 - 1).seed == 2**63 - 1
