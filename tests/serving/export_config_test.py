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


def test_int8_is_for_litert():
    config = ExportConfig(dtype="int8", format=("litert",), batch=3)
    assert config.others == ("litert",)
    assert ExportConfig().others == ()


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
        ({"dtype": "float64"}, "`dtype` must be one of: float32, bfloat16, float16, i"),
        (
            {"format": ("tflite",)},
            "`format` must be one or several of: saved_model, li",
        ),
        (
            {"format": ()},
            "`format` must be one or several of: saved_model, litert, onnx",
        ),
        ({"dtype": "int8"}, "one of: float32, bfloat16, float16 for saved_model. Rec"),
        (
            {"dtype": "int8", "format": ("litert", "saved_model")},
            "`dtype` must be one of: float32, bfloat16, float16 for saved_model. ",
        ),
        (
            {"dtype": "bfloat16", "format": ("litert",)},
            "`dtype` must be one of: float32, float16, int8 for litert. Received: ",
        ),
        (
            {"ops": "fused", "format": ("saved_model", "onnx")},
            "`ops` must be stock for onnx. Received: ops='fused'.",
        ),
        ({"batch": 4}, "`batch` must be 0 for a SavedModel, which takes any number."),
        ({"batch": -1, "format": ("litert",)}, "`batch` must be at least 0."),
    ],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(InputError) as error:
        ExportConfig(**values)
    assert message in str(error.value)
