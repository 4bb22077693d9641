"""The Inception v3 of FID.

It differs from the network of the paper (Szegedy et al., arXiv 1512.00567) in the same
way as the graph of December 2015 that FID was first computed with: it has 1008 classes,
its average pooling excludes the padding from the mean, and its last block uses maximum
pooling.
"""

from collections.abc import Sequence

import keras

from tf_student.evaluation.inception_preprocessing import SIZE

CLASSES = 1008
_EPSILON = 1e-3

# A convolution: name, filters, kernel (height, width), stride. A convolution of stride
# 2 has no padding; the others keep the size.
_Conv = tuple[str, int, tuple[int, int], int]
# A branch: the pooling that it starts with, and its convolutions. Two convolutions in a
# tuple have the same input, and their outputs are concatenated. `halving` is a branch
# without convolutions.
_Branch = tuple[str, Sequence[_Conv | tuple[_Conv, _Conv]]]

_POOL = {"average": keras.layers.AveragePooling2D, "maximum": keras.layers.MaxPooling2D}


def _conv(
    name: str, filters: int, kernel: int | tuple[int, int] = 1, stride: int = 1
) -> _Conv:
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return name, filters, size, stride


def _double(*filters: int, last_stride: int = 1) -> list[_Conv]:
    """A 1x1 convolution and two 3x3 convolutions."""
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
    """The network with random weights.

    Its input is float32 images `[n, size, size, 3]` in about [-1, 1]. Its outputs are
    features `[n, 2048]` and logits `[n, 1008]`. Layers are named as in pytorch-fid's
    file, and the layers `Mixed_5b` to `Mixed_7c` are the outputs of the blocks.
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


def units() -> list[str]:
    """Names of the units of convolution, batch normalization and ReLU, in order."""
    names = [f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1")]
    names.append("Conv2d_4a_3x3")
    for block, branches in BLOCKS.items():
        for _, convolutions in branches:
            for step in convolutions:
                forks = step if isinstance(step[0], tuple) else [step]
                names += [f"{block}.{fork[0]}" for fork in forks]
    return names


def _branch(x, block: str, pooling: str, convolutions: Sequence):
    if pooling == "halving":
        return keras.layers.MaxPooling2D(3, 2)(x)
    if pooling:
        # Both exclude the padding.
        x = _POOL[pooling](3, 1, padding="same")(x)
    for step in convolutions:
        if isinstance(step[0], tuple):
            forks = [_unit(x, f"{block}.{name}", *rest) for name, *rest in step]
            x = keras.layers.Concatenate()(forks)
        else:
            x = _unit(x, f"{block}.{step[0]}", *step[1:])
    return x


def _unit(x, name: str, filters: int, kernel, stride: int, padding: str = ""):
    """Convolution without bias, batch normalization, ReLU."""
    padding = padding or ("same" if stride == 1 else "valid")
    x = keras.layers.Conv2D(
        filters, kernel, stride, padding, use_bias=False, name=f"{name}.conv"
    )(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}.bn")(x)
    return keras.layers.ReLU(name=name)(x)
