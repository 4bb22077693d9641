"""Weights of FID's Inception from pytorch-fid's file, in PyTorch's layout.

The file is `pt_inception-2015-12-05-6726825d.pth`, whose names the layers have.
"""

import os

import keras
import tensorflow as tf

from tf_student.convert import rows, torch_file
from tf_student.evaluation import inception, inception_preprocessing
from tf_student.evaluation.feature_network import FeatureNetwork

# Keras' names of a batch normalization's variables, and PyTorch's.
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def feature_network(path: str, resize: str, identity: str) -> FeatureNetwork:
    """The network of a file as a feature extractor.

    Args:
        path: of the file.
        resize: `tf1` or `pytorch_fid`, the preprocessing.
        identity: of the file.

    Raises:
        InputError: as `load`.
    """
    model = load(path)
    preprocess = inception_preprocessing.BY_NAME[resize]
    kernel = model.get_layer("fc").kernel

    def network(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pool = model(preprocess(images), training=False)[0]
        # The Inception Score is defined without the bias.
        return pool, tf.matmul(pool, kernel)

    name = f"{os.path.basename(path)} ({resize})"
    return FeatureNetwork(name, f"{identity} {resize}", network)


def load(path: str) -> keras.Model:
    """The network with the weights of a PyTorch file.

    Raises:
        InputError: if the file is damaged, or a tensor is missing or unexpected.
    """
    model = inception.build()
    variables = {variable.path: variable for variable in model.variables}
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    # Files of later versions of PyTorch also count the training steps.
    tensors = torch_file.read(path).renamed(
        lambda name: None if name.endswith("num_batches_tracked") else name
    )
    for name, value in rows.apply(table(), tensors, shapes):
        variables[name].assign(value)
    return model


def table() -> list[rows.Row]:
    """Which tensor of the file belongs to which variable of the network."""
    table = []
    for unit in inception.units():
        table.append(rows.Row(f"{unit}.conv/kernel", (f"{unit}.conv.weight",), True))
        table += [
            rows.Row(f"{unit}.bn/{ours}", (f"{unit}.bn.{theirs}",))
            for ours, theirs in _NORM.items()
        ]
    return [
        *table,
        rows.Row("fc/kernel", ("fc.weight",), True),
        rows.Row("fc/bias", ("fc.bias",)),
    ]
