import pytest

from tf_student.errors import InputError
from tf_student.serving.config import ClientConfig, GalleryConfig


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ClientConfig, {"server": "localhost:8501"}, "`server` must be like http://"),
        (ClientConfig, {"server": "ftp://host"}, "server='ftp://host'"),
        (ClientConfig, {"server": "http://"}, "server='http://'"),
        (ClientConfig, {"server": "http://host:many"}, "server='http://host:many'"),
        (ClientConfig, {"server": "http://[::1"}, "`server` must be like http://"),
        (ClientConfig, {"server": "http://host\n/"}, "`server` must be like http://"),
        (ClientConfig, {"model": "../admin"}, "`model` must be of letters"),
        (ClientConfig, {"model": ""}, "`model` must be of letters"),
        (ClientConfig, {"label": "a/b"}, "`label` must be of letters"),
        (ClientConfig, {"version": -1}, "version=-1"),
        (ClientConfig, {"version": 2, "label": "a"}, "`label` must be empty where"),
        (ClientConfig, {"count": 0}, "count=0"),
        (ClientConfig, {"count": 2**31}, "`count` must be below 2147483648"),
        (ClientConfig, {"seed": -1}, "seed=-1"),
        (ClientConfig, {"seed": 2**63}, "seed=9223372036854775808"),
        (ClientConfig, {"seed": 2**63 - 1, "requests": 2}, "`seed` must be below"),
        (ClientConfig, {"requests": 0}, "requests=0"),
        (ClientConfig, {"concurrency": 0}, "concurrency=0"),
        (ClientConfig, {"timeout": float("nan")}, "timeout=nan"),
        (GalleryConfig, {"port": 65536}, "`port` must be at most 65535"),
        (GalleryConfig, {"port": -1}, "port=-1"),
        (GalleryConfig, {"host": ""}, "`host` must be an address"),
        (GalleryConfig, {"max_images": 1}, "max_images=1"),
    ],
)
def test_wrong_value_is_named(kind, values, message):
    with pytest.raises(InputError) as raised:
        kind(**values)
    assert message in str(raised.value)


def test_last_seed_is_allowed():
    assert ClientConfig(seed=2**63 - 1).seed == 2**63 - 1


def test_gallery_is_for_this_machine_alone_unless_told():
    assert GalleryConfig().host == "127.0.0.1"
