import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.evaluation import inception


@pytest.fixture(scope="module")
def images():
    shape = [1, 299, 299, 3]
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def _windows(x, size, stride, padding, filler):
    """Every window of `size`, `[n, rows, columns, channels, height, width]`."""
    pad = [(s // 2, s // 2) if padding == "same" else (0, 0) for s in size]
    x = np.pad(x, [(0, 0), *pad, (0, 0)], constant_values=filler)
    views = np.lib.stride_tricks.sliding_window_view(x, size, (1, 2))
    return views[:, :: stride[0], :: stride[1]]


def _formula(layer, x):
    """What a layer should give, in NumPy's float64."""
    weights = [w.numpy().astype(np.float64) for w in layer.weights]
    if isinstance(layer, keras.layers.Conv2D):
        views = _windows(x, layer.kernel_size, layer.strides, layer.padding, 0)
        kernel = weights[0].transpose(2, 0, 1, 3).reshape(-1, layer.filters)
        return views.reshape(*views.shape[:3], -1) @ kernel
    if isinstance(layer, keras.layers.BatchNormalization):
        gamma, beta, mean, variance = weights
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    if isinstance(layer, keras.layers.ReLU):
        return np.maximum(x, 0)
    if isinstance(layer, keras.layers.MaxPooling2D):
        size, stride = layer.pool_size, layer.strides
        return _windows(x, size, stride, layer.padding, -np.inf).max((-2, -1))
    if isinstance(layer, keras.layers.AveragePooling2D):
        # The mean excludes the padding.
        views = _windows(x, layer.pool_size, layer.strides, layer.padding, np.nan)
        return np.nanmean(views, (-2, -1))
    if isinstance(layer, keras.layers.Concatenate):
        return np.concatenate(x, axis=-1)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return x.mean((1, 2))
    assert isinstance(layer, keras.layers.Dense)
    return x @ weights[0] + weights[1]


def test_every_layer_is_its_formula(inception_model):
    # Smaller images, that the last blocks see as 3x3.
    small = inception.build(139)
    small.set_weights(inception_model.get_weights())
    images = np.random.default_rng(1).uniform(-1, 1, [1, 139, 139, 3])
    layers = [la for la in small.layers if not isinstance(la, keras.layers.InputLayer)]
    places = tf.nest.flatten([[layer.input, layer.output] for layer in layers])
    unique = {id(place): place for place in places}
    values = keras.Model(small.input, list(unique.values()))(images, training=False)
    values = {
        key: np.asarray(value, np.float64)
        for key, value in zip(unique, values, strict=True)
    }
    for layer in layers:
        x = tf.nest.map_structure(lambda place: values[id(place)], layer.input)
        assert_close(values[id(layer.output)], _formula(layer, x))


def test_layers_are_those_of_the_original(inception_model):
    kinds = [type(layer).__name__ for layer in inception_model.layers]
    assert kinds.count("Conv2D") == kinds.count("BatchNormalization") == 94
    # Maximum pooling: two in the stem, two in halving blocks, one in the last block.
    assert (kinds.count("AveragePooling2D"), kinds.count("MaxPooling2D")) == (8, 5)
    assert inception_model.get_layer("Mixed_7c").output.shape == (None, 8, 8, 2048)
    assert [output.shape for output in inception_model.outputs] == [
        (None, 2048),
        (None, 1008),
    ]
    # Keras' own Inception v3, 1008 classes, and the scale of each normalisation.
    assert inception_model.count_params() == 21_802_784 + 2048 * 1008 + 1008 + 17_216


def test_last_block_pools_the_maximum():
    pooling = {
        name: [b[0] for b in blocks][-1] for name, blocks in inception.BLOCKS.items()
    }
    assert (
        pooling["Mixed_7b"] == pooling["Mixed_5b"] == pooling["Mixed_6e"] == "average"
    )
    assert pooling["Mixed_7c"] == "maximum"


def test_network_is_pytorchs(inception_model, inception_state, images):
    torch = pytest.importorskip("torch")
    from tests.evaluation import torch_inception

    tensors = {
        name: torch.from_numpy(v).double() for name, v in inception_state.items()
    }
    nchw = torch.from_numpy(images.astype(np.float64).transpose(0, 3, 1, 2))
    with torch.no_grad():
        expected = torch_inception.run(tensors, nchw)
    for actual, value in zip(
        inception_model(images, training=False), expected, strict=True
    ):
        assert_close(actual, value.numpy())
