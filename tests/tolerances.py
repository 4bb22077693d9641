"""How closely two computations of the same value must agree, by number type."""

import numpy as np

# The largest error, relative to the largest expected value.
TOLERANCE = {"float64": 1e-10, "float32": 3e-5, "float16": 1e-2, "bfloat16": 6e-2}


def assert_close(actual, expected, dtype: str = "float32") -> None:
    """Compares in float64, relative to the largest value of the expected array."""
    actual = np.asarray(actual).astype(np.float64)
    expected = np.asarray(expected).astype(np.float64)
    assert actual.shape == expected.shape
    scale = max(np.max(np.abs(expected)), 1e-6)
    np.testing.assert_allclose(
        actual / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype]
    )
