"""Networks with the interface of TF-GAN's Inception, as files."""

import tensorflow as tf

NAMES = ("pool_3", "logits")


class Inception(tf.Module):
    """From 299x299 colour images to a dictionary, as TF-GAN's module."""

    def __init__(self, names=NAMES):
        super().__init__()
        self._names = names

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        # With axes of one element, as the real module's pool_3.
        pool = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
        return {self._names[0]: pool, self._names[1]: pool[:, 0, 0, :2]}


def save(module, path):
    """Writes a SavedModel and returns its path."""
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return str(path)


def save_graph(path, *, placeholder=True, names=NAMES):
    """Writes a frozen graph; TF-GAN's own has no placeholder."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 299, 299, 3], name="Mul")
        pool = tf.reduce_mean(images, axis=[1, 2], keepdims=True, name=names[0])
        tf.identity(pool[:, 0, 0, :2], name=names[1])
    definition = graph.as_graph_def()
    if not placeholder:
        nodes = [node for node in definition.node if node.name != "Mul"]
        definition = tf.compat.v1.GraphDef(node=nodes, versions=definition.versions)
    path.write_bytes(definition.SerializeToString())
    return str(path)
