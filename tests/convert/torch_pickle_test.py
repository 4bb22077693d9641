import io
import time

import pytest

from tests.convert import torch_writer
from tf_student.convert.torch_pickle import CodeError, Foreign, Machine


def load(opcodes):
    return Machine().load(io.BytesIO(torch_writer.pickled(opcodes)))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, "é", None, True, (3, (4,), ())], "b": b"bytes", 7: 2**70},
        [],
        [{"deep": [{"deeper": "x" * 300}]}] * 3,
    ],
)
@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(value, protocol):
    import pickle

    content = io.BytesIO(pickle.dumps(value, protocol))
    expected = value
    if protocol < 3 and isinstance(value, dict):
        # These protocols write bytes as a call.
        expected = {**value, "b": Foreign("_codecs.encode")}
    assert Machine().load(content) == expected


def test_pickles_follow_each_other_in_a_file():
    file = io.BytesIO(torch_writer.pickled(b"K\x01") + torch_writer.pickled(b"K\x02"))
    machine = Machine()
    assert [machine.load(file), machine.load(file)] == [1, 2]


def test_objects_of_other_classes_are_names():
    namespace = torch_writer.call("argparse", "Namespace")
    state = torch_writer.plain({"lr": 1e-4}) + b"b"
    assert load(namespace + state) == Foreign("argparse.Namespace")
    assert load(b"cmodels.ema\nEMA\n)\x81" + state) == Foreign("models.ema.EMA")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("posix", "system"),
        ("os", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("importlib._bootstrap", "_gcd_import"),
    ],
)
def test_code_of_the_standard_library_is_refused(module, name):
    with pytest.raises(CodeError, match=f"{module}.{name}"):
        load(b"c" + f"{module}\n{name}\n".encode())


def test_a_dict_of_python_2():
    pairs = torch_writer.as_list(
        torch_writer.plain(["a", 1]), torch_writer.plain(["b", 2])
    )
    opcodes = torch_writer.call("collections", "OrderedDict", pairs)
    assert load(opcodes) == {"a": 1, "b": 2}


def test_nested_tuples_as_keys_are_not_hashed():
    # Each tuple holds the one below twice, so that hashing it takes 2^60 steps.
    key = b")" + b"".join(
        b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60)
    )
    start = time.monotonic()
    assert load(b"}" + key + b"K\x01s") == {}
    assert time.monotonic() - start < 1


def test_copies_of_a_long_list_are_counted():
    pairs = torch_writer.as_list(*[torch_writer.plain(["a", 1])] * 2000)
    call = b"ccollections\nOrderedDict\nh\x00\x85R0"
    with pytest.raises(ValueError, match="more than 1,000,000 instructions"):
        load(pairs + b"q\x00" + call * 600)


def test_a_pickle_of_too_many_values():
    with pytest.raises(ValueError, match="more than 1,000,000 instructions"):
        load(b"]" * 1_000_001)


def test_nesting_takes_no_recursion():
    value = load(b"]" * 100_000 + b"a" * 99_999)
    assert isinstance(value, list)
    while value:
        (value,) = value


@pytest.mark.parametrize(
    "opcodes",
    [
        b"0",
        b"R",
        b"h\x00",
        b"]K\x01b",
        b"K\x01K\x02K\x03s",
        b"K\x01K\x02a",
        b"(t\x86",
        b"(u",
        b"\x97",
        b"\x82\x01",
    ],
)
def test_what_no_pickler_writes_is_an_error(opcodes):
    with pytest.raises((ValueError, IndexError, KeyError)):
        load(opcodes)
