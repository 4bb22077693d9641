"""Feature extractors that are frozen graphs (`.pb`) of TensorFlow 1."""

import os

import tensorflow as tf

from tf_student.evaluation import inception_preprocessing
from tf_student.evaluation.feature_network import OUTPUTS, FeatureNetwork, flat
from tf_student.evaluation.inception_preprocessing import SIZE
from tf_student.runtime.errors import InputError, first_line


def load(path: str, identity: str) -> FeatureNetwork:
    """Loads a frozen graph with TF-GAN's outputs `pool_3` and `logits`.

    TensorFlow runs whatever operations the graph holds, which can read and write files.
    Load only what you trust.

    Args:
        path: of the file.
        identity: of the extractor.

    Raises:
        InputError: if the file is not such a graph.
    """
    try:
        outputs = _import(path)
    # The graph's import raises many types, besides protobuf's DecodeError.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{path} must be a frozen graph of one input with the outputs pool_3 and "
            f"logits. Received: {reason}"
        ) from error

    def network(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = outputs(inception_preprocessing.tfgan(images))
        activations, logits = (flat(value, images) for value in values)
        return activations, logits

    return FeatureNetwork(os.path.basename(path), identity, network)


def _import(path: str):
    """The graph as a function of its input."""
    graph = tf.compat.v1.GraphDef()
    with tf.io.gfile.GFile(path, "rb") as file:
        graph.ParseFromString(file.read())
    entry = _input_name(graph)
    fields = [f"{name}:0" for name in OUTPUTS]
    return tf.compat.v1.wrap_function(
        lambda images: tf.graph_util.import_graph_def(
            graph, input_map={entry: images}, return_elements=fields, name=""
        ),
        [tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)],
    )


def _input_name(graph: tf.compat.v1.GraphDef) -> str:
    """The graph's input: its placeholder, or else a name that no node defines.

    TF-GAN's own frozen graph has no placeholder.
    """
    defined = {node.name for node in graph.node if node.op != "Placeholder"}
    referred = {
        name.lstrip("^").split(":")[0] for node in graph.node for name in node.input
    }
    inputs = sorted(referred - defined)
    if len(inputs) != 1:
        raise ValueError(f"inputs {', '.join(inputs) or 'none'}")
    return f"{inputs[0]}:0"
