import pytest
import tensorflow as tf

from tests.evaluation import tiny_inception
from tf_student.evaluation import frozen_graph_extractor
from tf_student.runtime.errors import InputError


def test_other_outputs_are_an_error(tmp_path):
    names = ("pool", "classes")
    path = tiny_inception.save_graph(tmp_path / "other.pb", names=names)
    with pytest.raises(InputError, match=r"other.pb must be a frozen graph of one"):
        frozen_graph_extractor.load(path, "identity")


def test_two_inputs_are_an_error(tmp_path):
    with tf.Graph().as_default() as graph:
        a, b = (tf.compat.v1.placeholder(tf.float32, name=name) for name in "ab")
        tf.add(a, b, name="pool_3")
    path = tmp_path / "two.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(InputError, match=r"of one input .* Received: inputs a, b"):
        frozen_graph_extractor.load(str(path), "identity")


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x0a\x05\x0a\x03abc"])
def test_a_file_without_a_graph_is_an_error(tmp_path, content):
    path = tmp_path / "bad.pb"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad.pb must be a frozen graph") as caught:
        frozen_graph_extractor.load(str(path), "identity")
    assert "\n" not in str(caught.value)
