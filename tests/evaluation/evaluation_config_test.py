import pytest

from tf_student.evaluation.evaluation_config import CompareConfig, EvaluateConfig
from tf_student.runtime.errors import InputError


def test_against_needs_a_source():
    with pytest.raises(InputError, match="`source` must be given with `against`"):
        CompareConfig(against="digits")
    assert CompareConfig(source="a", against="b").against == "b"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 1}, "`samples` must be at least 2"),
        ({"repeats": 0}, "`repeats` must be at least 1"),
        ({"resize": "lanczos"}, "`resize` must be one of: tf1, pytorch_fid"),
    ],
)
def test_wrong_values_are_an_error(values, message):
    with pytest.raises(InputError, match=message):
        EvaluateConfig(**values)
