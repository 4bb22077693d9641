import pytest

from tf_student.runtime.errors import InputError
from tf_student.serving.export_config import ExportConfig


@pytest.mark.parametrize(
    ("shape", "limit"),
    [
        ((8, 8, 1), 16384),
        ((32, 32, 3), 1024),
        ((64, 64, 3), 256),
        ((256, 256, 3), 16),
        ((1024, 1024, 3), 2),
    ],
)
def test_limit_depends_on_the_pixels(shape, limit):
    assert ExportConfig().limit(shape) == limit
    assert ExportConfig(max_count=5).limit(shape) == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": "best"}, "`weights` must be one of: ema, last."),
        ({"warmup": "png"}, "`warmup` must be one of: noise, all, none."),
        ({"version": -1}, "`version` must be at least 0."),
        ({"version": 2**63}, "`version` must be at most 9223372036854775807."),
        ({"max_count": 1}, "`max_count` must be 0, or at least 2"),
        ({"name": "a/b"}, "`name` must have only letters, digits, _ and -."),
        ({"name": 'a"b'}, "`name` must have only letters, digits, _ and -."),
        ({"ops": "custom"}, "`ops` must be one of: stock, fused."),
        ({"dtype": "float64"}, "`dtype` must be one of: float32, bfloat16, float16."),
    ],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(InputError) as error:
        ExportConfig(**values)
    assert message in str(error.value)
