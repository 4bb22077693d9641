"""The Inception v3 of FID, with the weights of December 2015 in PyTorch's layout.

It differs from the network of the paper (Szegedy et al., arXiv 1512.00567) as the graph
did with which FID was first computed: 1008 classes, average pooling that leaves padding
out of its mean, and maximum pooling in the last block. The file is pytorch-fid's
`pt_inception-2015-12-05-6726825d.pth`, whose names the layers have.
"""

import keras
import tensorflow as tf

from tf_student.convert import rows, torch_file

SIZE = 299
CLASSES = 1008
FEATURES = 2048
_EPSILON = 1e-3

# A convolution: name, filters, kernel (height, width), stride. Those of stride 2 are
# not padded, the others keep the size.
_Conv = tuple[str, int, tuple[int, int], int]
# A branch: convolutions, in which a tuple of two forks and is joined again, after the
# pooling that its name says, if any.
_Branch = tuple[str, list]

_POOL = {"average": keras.layers.AveragePooling2D, "maximum": keras.layers.MaxPooling2D}


def _conv(name: str, filters: int, kernel: int | tuple = 1, stride: int = 1) -> _Conv:
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return name, filters, kernel, stride


def _double(*filters: int, last_stride: int = 1) -> list[_Conv]:
    """Two 3x3 convolutions behind one of 1x1."""
    first, second, third = filters
    return [
        _conv("branch3x3dbl_1", first),
        _conv("branch3x3dbl_2", second, 3),
        _conv("branch3x3dbl_3", third, 3, last_stride),
    ]


def _grid_35(pooled: int) -> list[_Branch]:
    return [
        ("", [_conv("branch1x1", 64)]),
        ("", [_conv("branch5x5_1", 48), _conv("branch5x5_2", 64, 5)]),
        ("", _double(64, 96, 96)),
        ("average", [_conv("branch_pool", pooled)]),
    ]


def _grid_17(width: int) -> list[_Branch]:
    wide, tall = (1, 7), (7, 1)
    return [
        ("", [_conv("branch1x1", 192)]),
        (
            "",
            [
                _conv("branch7x7_1", width),
                _conv("branch7x7_2", width, wide),
                _conv("branch7x7_3", 192, tall),
            ],
        ),
        (
            "",
            [
                _conv("branch7x7dbl_1", width),
                _conv("branch7x7dbl_2", width, tall),
                _conv("branch7x7dbl_3", width, wide),
                _conv("branch7x7dbl_4", width, tall),
                _conv("branch7x7dbl_5", 192, wide),
            ],
        ),
        ("average", [_conv("branch_pool", 192)]),
    ]


def _grid_8(pooling: str) -> list[_Branch]:
    def fork(name):
        return _conv(f"{name}a", 384, (1, 3)), _conv(f"{name}b", 384, (3, 1))

    return [
        ("", [_conv("branch1x1", 320)]),
        ("", [_conv("branch3x3_1", 384), fork("branch3x3_2")]),
        ("", [*_double(448, 384, 0)[:2], fork("branch3x3dbl_3")]),
        (pooling, [_conv("branch_pool", 192)]),
    ]


BLOCKS: dict[str, list[_Branch]] = {
    "Mixed_5b": _grid_35(32),
    "Mixed_5c": _grid_35(64),
    "Mixed_5d": _grid_35(64),
    "Mixed_6a": [
        ("", [_conv("branch3x3", 384, 3, 2)]),
        ("", _double(64, 96, 96, last_stride=2)),
        ("halving", []),
    ],
    "Mixed_6b": _grid_17(128),
    "Mixed_6c": _grid_17(160),
    "Mixed_6d": _grid_17(160),
    "Mixed_6e": _grid_17(192),
    "Mixed_7a": [
        ("", [_conv("branch3x3_1", 192), _conv("branch3x3_2", 320, 3, 2)]),
        (
            "",
            [
                _conv("branch7x7x3_1", 192),
                _conv("branch7x7x3_2", 192, (1, 7)),
                _conv("branch7x7x3_3", 192, (7, 1)),
                _conv("branch7x7x3_4", 192, 3, 2),
            ],
        ),
        ("halving", []),
    ],
    "Mixed_7b": _grid_8("average"),
    "Mixed_7c": _grid_8("maximum"),
}


def build(size: int = SIZE) -> keras.Model:
    """The network, with random weights; it works on other sizes than 299 too.

    From float32 images `[n, 299, 299, 3]` in about [-1, 1] to features `[n, 2048]` and
    logits `[n, 1008]`. Layers are named as in the file; `Mixed_5b` and its like are
    the blocks' outputs.
    """
    images = keras.Input([size, size, 3])
    x = _unit(images, "Conv2d_1a_3x3", 32, 3, 2, padding="valid")
    x = _unit(x, "Conv2d_2a_3x3", 32, 3, 1, padding="valid")
    x = _unit(x, "Conv2d_2b_3x3", 64, 3, 1)
    x = keras.layers.MaxPooling2D(3, 2)(x)
    x = _unit(x, "Conv2d_3b_1x1", 80, 1, 1)
    x = _unit(x, "Conv2d_4a_3x3", 192, 3, 1, padding="valid")
    x = keras.layers.MaxPooling2D(3, 2)(x)
    for name, branches in BLOCKS.items():
        parts = [_branch(x, name, *branch) for branch in branches]
        x = keras.layers.Concatenate(name=name)(parts)
    pool = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    return keras.Model(images, [pool, keras.layers.Dense(CLASSES, name="fc")(pool)])


def _branch(x, block: str, pooling: str, convolutions: list):
    if pooling == "halving":
        return keras.layers.MaxPooling2D(3, 2)(x)
    if pooling:
        # Neither takes the padding into account.
        x = _POOL[pooling](3, 1, padding="same")(x)
    for step in convolutions:
        if isinstance(step[0], tuple):
            forks = [_unit(x, f"{block}.{name}", *rest) for name, *rest in step]
            x = keras.layers.Concatenate()(forks)
        else:
            x = _unit(x, f"{block}.{step[0]}", *step[1:])
    return x


def _unit(x, name: str, filters: int, kernel, stride: int, padding: str = ""):
    """Convolution without a bias, batch normalisation, ReLU."""
    padding = padding or ("same" if stride == 1 else "valid")
    x = keras.layers.Conv2D(
        filters, kernel, stride, padding, use_bias=False, name=f"{name}.conv"
    )(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}.bn")(x)
    return keras.layers.ReLU(name=name)(x)


def load(path: str) -> keras.Model:
    """The network with the weights of a file of PyTorch.

    Raises:
        InputError: if the file is damaged, or any tensor has no place or is missing.
    """
    model = build()
    ours = {variable.path: variable for variable in model.variables}
    shapes = {path: tuple(variable.shape) for path, variable in ours.items()}
    # Counters of training steps, in files of later versions of PyTorch.
    tensors = torch_file.read(path).renamed(
        lambda name: None if name.endswith("num_batches_tracked") else name
    )
    for name, value in rows.apply(table(), tensors, shapes):
        ours[name].assign(value)
    return model


def table() -> list[rows.Row]:
    """Which of the file's tensors is which of our variables."""
    units = [f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1")]
    units.append("Conv2d_4a_3x3")
    for block, branches in BLOCKS.items():
        for _, convolutions in branches:
            for step in convolutions:
                forks = step if isinstance(step[0], tuple) else [step]
                units += [f"{block}.{fork[0]}" for fork in forks]
    norm = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    found = []
    for unit in units:
        kernel = rows.Row(f"{unit}.conv/kernel", (f"{unit}.conv.weight",), True)
        found += [
            kernel,
            *(rows.Row(f"{unit}.bn/{k}", (f"{unit}.bn.{v}",)) for k, v in norm.items()),
        ]
    dense = [
        rows.Row("fc/kernel", ("fc.weight",), True),
        rows.Row("fc/bias", ("fc.bias",)),
    ]
    return found + dense


def preprocess_tf1(images: tf.Tensor) -> tf.Tensor:
    """The original's: TensorFlow 1's bilinear resize, (x - 128) / 128.

    A pixel of the result is interpolated at its index times the scale, with no half
    pixel added, as in torch-fidelity. From uint8 `[n, h, w, c]`, c being 1 or 3.
    """
    # What tf.image.resize cannot do any more.
    resized = tf.raw_ops.ResizeBilinear(images=_coloured(images), size=[SIZE, SIZE])
    return (resized - 128) / 128


def preprocess_pytorch_fid(images: tf.Tensor) -> tf.Tensor:
    """pytorch-fid's: bilinear with half-pixel centres, x / 127.5 - 1."""
    return tf.image.resize(_coloured(images), [SIZE, SIZE]) / 127.5 - 1


def _coloured(images: tf.Tensor) -> tf.Tensor:
    images = tf.cast(images, tf.float32)
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images


PREPROCESSING = {"tf1": preprocess_tf1, "pytorch_fid": preprocess_pytorch_fid}
