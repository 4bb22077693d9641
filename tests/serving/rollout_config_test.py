import pytest

from tf_student.runtime.errors import InputError
from tf_student.serving.rollout_config import RolloutConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"server": ""}, "`server` must begin with http:// or https://"),
        ({"server": "grpc://host:8500"}, "server='grpc://host:8500'"),
        ({"server": "http://a,b"}, "server='http://a,b'"),
        ({"timeout": 0.0}, "`timeout` must be at least 0.001"),
    ],
)
def test_wrong_value_is_named(values, message):
    with pytest.raises(InputError) as raised:
        RolloutConfig(**values)
    assert message in str(raised.value)


def test_several_servers():
    assert RolloutConfig("http://a:1,https://b").servers() == [
        "http://a:1",
        "https://b",
    ]
