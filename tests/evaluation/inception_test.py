import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.convert import torch_writer
from tests.tolerances import assert_close
from tf_student.evaluation import extractors, inception
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


@pytest.fixture(scope="module")
def state():
    """Random weights by PyTorch's names, that keep activations of the order of 1."""
    rng = np.random.default_rng(0)
    shapes = {v.path: tuple(v.shape) for v in inception.build().variables}
    made = {}
    for row in inception.table():
        (name,), shape = row.theirs, shapes[row.ours]
        value = rng.normal(size=shape).astype(np.float32)
        if name.endswith(("conv.weight", "fc.weight")):
            value *= np.sqrt(2 / np.prod(shape[:-1]))
            value = value.transpose(
                len(shape) - 1, len(shape) - 2, *range(len(shape) - 2)
            )
        elif name.endswith("running_var"):
            value = np.exp(0.3 * value)
        elif name.endswith("bn.weight"):
            value = 1 + 0.2 * value
        else:
            value *= 0.2
        made[name] = np.ascontiguousarray(value)
    return made


def _write(path, arrays):
    torch_writer.write_archive(path, torch_writer.state_dict(arrays), arrays.values())
    return str(path)


@pytest.fixture(scope="module")
def path(state, tmp_path_factory):
    counters = {
        name.replace("running_var", "num_batches_tracked"): np.int64([0])
        for name in state
        if name.endswith("running_var")
    }
    folder = tmp_path_factory.mktemp("inception")
    return _write(folder / "pt_inception.pth", {**state, **counters})


@pytest.fixture(scope="module")
def model(path):
    return inception.load(path)


@pytest.fixture(scope="module")
def images():
    shape = [1, inception.SIZE, inception.SIZE, 3]
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
        # The mean of those that are there: padding is no number.
        views = _windows(x, layer.pool_size, layer.strides, layer.padding, np.nan)
        return np.nanmean(views, (-2, -1))
    if isinstance(layer, keras.layers.Concatenate):
        return np.concatenate(x, axis=-1)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return x.mean((1, 2))
    assert isinstance(layer, keras.layers.Dense)
    return x @ weights[0] + weights[1]


def test_every_layer_is_its_formula(model):
    # Smaller images, that the last blocks see as 3x3.
    small = inception.build(139)
    small.set_weights(model.get_weights())
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


def test_layers_are_those_of_the_original(model):
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == kinds.count("BatchNormalization") == 94
    # Two maxima of the stem, two of the halving blocks, one of the last.
    assert (kinds.count("AveragePooling2D"), kinds.count("MaxPooling2D")) == (8, 5)
    assert model.get_layer("Mixed_7c").output.shape == (None, 8, 8, 2048)
    assert [output.shape for output in model.outputs] == [(None, 2048), (None, 1008)]
    # Keras' own Inception v3, 1008 classes, and the scale of each normalisation.
    assert model.count_params() == 21_802_784 + 2048 * 1008 + 1008 + 17_216


def test_last_block_pools_the_maximum():
    pooling = {
        name: [b[0] for b in blocks][-1] for name, blocks in inception.BLOCKS.items()
    }
    assert (
        pooling["Mixed_7b"] == pooling["Mixed_5b"] == pooling["Mixed_6e"] == "average"
    )
    assert pooling["Mixed_7c"] == "maximum"


def test_network_is_pytorchs(model, state, images):
    torch = pytest.importorskip("torch")
    from tests.evaluation import torch_inception

    tensors = {name: torch.from_numpy(v).double() for name, v in state.items()}
    nchw = torch.from_numpy(images.astype(np.float64).transpose(0, 3, 1, 2))
    with torch.no_grad():
        expected = torch_inception.run(tensors, nchw)
    for found, value in zip(model(images, training=False), expected, strict=True):
        assert_close(found, value.numpy())


def test_names_are_those_of_the_file():
    names = {name for row in inception.table() for name in row.theirs}
    assert len(names) == 94 * 5 + 2
    assert {
        "Conv2d_1a_3x3.conv.weight",
        "Conv2d_4a_3x3.bn.running_mean",
        "Mixed_5b.branch5x5_2.conv.weight",
        "Mixed_6a.branch3x3dbl_3.bn.bias",
        "Mixed_6e.branch7x7dbl_5.conv.weight",
        "Mixed_7a.branch7x7x3_4.bn.weight",
        "Mixed_7c.branch3x3dbl_3b.bn.running_var",
        "Mixed_7c.branch_pool.conv.weight",
        "fc.bias",
    } <= names


def test_a_missing_and_a_surplus_tensor_are_named(state, tmp_path):
    small = {name: state[name] for name in list(state)[:10]}
    small["AuxLogits.fc.bias"] = np.zeros(3, np.float32)
    message = r"missing: .* and 459 more; not expected: AuxLogits.fc.bias"
    with pytest.raises(InputError, match=message):
        inception.load(_write(tmp_path / "other.pth", small))


def test_extractor_gives_features_and_logits_without_their_bias(path, state, model):
    extractor = extractors.load(path, devices.make_strategy(["CPU:0"]), device_batch=2)
    images = np.random.default_rng(2).integers(0, 256, [2, 8, 8, 3]).astype(np.uint8)
    activations, logits = extractor.run(images)
    expected, _ = model(inception.preprocess_tf1(images), training=False)
    assert_close(activations, expected)
    assert_close(logits, activations @ state["fc.weight"].T)
    assert extractor.name == "pt_inception.pth (tf1)"
    assert extractor.identity.endswith(" tf1")


_IMAGES = np.random.default_rng(3).integers(0, 256, [2, 5, 9, 3]).astype(np.uint8)


def _resized(images, offset):
    """Bilinear to 299x299; a pixel's place is (i + offset) * scale - offset."""
    result = images.astype(np.float64)
    for axis in (1, 2):
        size = images.shape[axis]
        places = (np.arange(299) + offset) * size / 299 - offset
        places = np.clip(places, 0, size - 1)
        low = np.floor(places).astype(int)
        part = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, size - 1)
        result = result.take(low, axis) * (1 - part) + result.take(high, axis) * part
    return result


def test_tf1_resize_adds_no_half_pixel():
    expected = (_resized(_IMAGES, 0) - 128) / 128
    assert_close(inception.preprocess_tf1(tf.constant(_IMAGES)), expected)


def test_pytorch_fids_resize_adds_half_a_pixel():
    expected = _resized(_IMAGES, 0.5) / 255 * 2 - 1
    assert_close(inception.preprocess_pytorch_fid(tf.constant(_IMAGES)), expected)


def test_pytorch_fids_resize_is_pytorchs():
    torch = pytest.importorskip("torch")
    nchw = torch.from_numpy(_IMAGES.transpose(0, 3, 1, 2) / 255)
    resized = torch.nn.functional.interpolate(
        nchw, size=(299, 299), mode="bilinear", align_corners=False
    )
    expected = 2 * resized.numpy().transpose(0, 2, 3, 1) - 1
    assert_close(inception.preprocess_pytorch_fid(tf.constant(_IMAGES)), expected)


@pytest.mark.parametrize("name", inception.PREPROCESSING)
def test_grey_images_become_coloured(name):
    grey = tf.constant(_IMAGES[..., :1])
    found = inception.PREPROCESSING[name](grey)
    colour = inception.PREPROCESSING[name](tf.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(found, colour)
