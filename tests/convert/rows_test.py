import numpy as np
import pytest

from tf_student.convert.rows import Row, Tensors, apply, revert
from tf_student.runtime.errors import InputError

ROWS = [
    Row("conv.kernel", ("conv.weight",), transposed=True),
    Row("qkv.kernel", ("q", "k", "v"), transposed=True),
    Row("norm.gamma", ("norm.weight",), transposed=True),
]
VARIABLES = {"conv.kernel": (3, 3, 2, 4), "qkv.kernel": (4, 12), "norm.gamma": (5,)}


def theirs():
    rng = np.random.default_rng(0)
    shapes = {"conv.weight": (4, 2, 3, 3), "norm.weight": (5,)}
    shapes |= {name: (4, 4) for name in "qkv"}
    return {k: rng.normal(size=v).astype(np.float32) for k, v in shapes.items()}


def tensors(arrays):
    return Tensors(
        "a.file", {k: v.shape for k, v in arrays.items()}, arrays.__getitem__
    )


def message(arrays):
    with pytest.raises(InputError) as error:
        dict(apply(ROWS, tensors(arrays), VARIABLES))
    return str(error.value)


def test_values_arrive_in_our_layout():
    arrays = theirs()
    ours = dict(apply(ROWS, tensors(arrays), VARIABLES))
    assert ours["conv.kernel"][2, 1, 0, 3] == arrays["conv.weight"][3, 0, 2, 1]
    np.testing.assert_array_equal(ours["qkv.kernel"][:, 4:8], arrays["k"].T)
    np.testing.assert_array_equal(ours["norm.gamma"], arrays["norm.weight"])


def test_there_and_back_is_bit_for_bit():
    arrays = theirs()
    ours = dict(apply(ROWS, tensors(arrays), VARIABLES))
    back = revert(ROWS, ours.__getitem__)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].tobytes() == array.tobytes()


def test_a_1x1_convolution_is_a_dense_layer():
    arrays = theirs()
    for name in "qkv":
        arrays[name] = arrays[name][:, :, None, None]
    ours = dict(apply(ROWS, tensors(arrays), VARIABLES))
    np.testing.assert_array_equal(ours["qkv.kernel"][:, :4], arrays["q"][:, :, 0, 0].T)


def test_missing_surplus_and_wrong_tensors_are_named_together():
    arrays = theirs()
    del arrays["k"]
    arrays["extra"] = arrays["q"]
    arrays["norm.weight"] = np.zeros(6, np.float32)
    assert message(arrays) == (
        "a.file does not fit the network; missing: k; unexpected: extra; "
        "wrong shape: norm.weight (6,) for norm.gamma (5,)."
    )


def test_the_first_faults_of_many_are_named():
    arrays = theirs() | {f"extra{i}": np.zeros(1) for i in range(9)}
    assert "unexpected: extra0, extra1, extra2 and 6 more." in message(arrays)


def test_nothing_is_read_before_all_of_it_fits():
    def read(name):
        raise AssertionError(name)

    with pytest.raises(InputError):
        apply(ROWS, Tensors("a.file", {}, read), VARIABLES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    arrays = theirs()
    arrays["k"][1, 2] = value
    assert message(arrays) == "a.file has values that are not finite: q, k, v."
