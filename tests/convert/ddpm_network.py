"""Another DDPM network, written with plain functions, for files as they are published.

It requests each variable by its name in DDPM's checkpoints, so that one forward pass
defines the names of the variables and their meaning.
"""

import numpy as np
import tensorflow as tf

SIZE, CHANNELS, WIDTH, MULTIPLIERS, BLOCKS = 32, 3, 32, (1, 2), 1
ATTENTION = 16


class Store:
    """Random variables by name, created when they are first requested."""

    def __init__(self):
        self.values: dict[str, np.ndarray] = {}
        self._rng = np.random.default_rng(0)

    def __call__(self, name, *shape):
        if name not in self.values:
            value = self._rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
            self.values[name] = (value + name.endswith("gamma")).astype(np.float32)
        return self.values[name]


def network(get, x, t):
    """The noise in x at time step t, as DDPM's code computes it."""

    def affine(x, name, units, *window, stride=1):
        kernel = get(f"{name}/W", *window, x.shape[-1], units)
        if window:
            x = tf.nn.conv2d(x, kernel, stride, "SAME")
        else:
            x = tf.tensordot(x, kernel, 1)
        return x + get(f"{name}/b", units)

    def normalise(x, name):
        groups = tf.reshape(x, [len(x), -1, 32, x.shape[-1] // 32])
        mean, variance = tf.nn.moments(groups, [1, 3], keepdims=True)
        y = tf.reshape((groups - mean) / tf.sqrt(variance + 1e-6), x.shape)
        gamma, beta = (get(f"{name}/{leaf}", x.shape[-1]) for leaf in ("gamma", "beta"))
        return y * gamma + beta

    def residual(x, name, units):
        h = affine(
            tf.nn.silu(normalise(x, f"{name}/norm1")), f"{name}/conv1", units, 3, 3
        )
        h += affine(tf.nn.silu(temb), f"{name}/temb_proj", units)[:, None, None]
        h = affine(
            tf.nn.silu(normalise(h, f"{name}/norm2")), f"{name}/conv2", units, 3, 3
        )
        return h + (
            x if x.shape[-1] == units else affine(x, f"{name}/nin_shortcut", units)
        )

    def attention(x, name):
        h = tf.reshape(normalise(x, f"{name}/norm"), [len(x), -1, x.shape[-1]])
        q, k, v = (affine(h, f"{name}/{part}", x.shape[-1]) for part in "qkv")
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / x.shape[-1] ** 0.5)
        out = affine(tf.matmul(weights, v), f"{name}/proj_out", x.shape[-1])
        return x + tf.reshape(out, x.shape)

    def stage(x, name, index, units):
        x = residual(x, f"{name}/block_{index}", units)
        return attention(x, f"{name}/attn_{index}") if x.shape[1] == ATTENTION else x

    angles = tf.cast(t, tf.float32)[:, None] * tf.exp(
        -float(np.log(1e4)) * tf.range(WIDTH // 2, dtype=tf.float32) / (WIDTH // 2 - 1)
    )
    temb = tf.concat([tf.sin(angles), tf.cos(angles)], -1)
    temb = tf.nn.silu(affine(temb, "temb/dense0", 4 * WIDTH))
    temb = affine(temb, "temb/dense1", 4 * WIDTH)
    x = affine(x, "conv_in", WIDTH, 3, 3)
    skips = [x]
    for level, multiplier in enumerate(MULTIPLIERS):
        for index in range(BLOCKS):
            x = stage(x, f"down_{level}", index, WIDTH * multiplier)
            skips.append(x)
        if level + 1 < len(MULTIPLIERS):
            name = f"down_{level}/downsample/conv"
            x = affine(x, name, x.shape[-1], 3, 3, stride=2)
            skips.append(x)
    x = residual(x, "mid/block_1", x.shape[-1])
    x = residual(attention(x, "mid/attn_1"), "mid/block_2", x.shape[-1])
    for level, multiplier in reversed(list(enumerate(MULTIPLIERS))):
        for index in range(BLOCKS + 1):
            x = tf.concat([x, skips.pop()], -1)
            x = stage(x, f"up_{level}", index, WIDTH * multiplier)
        if level:
            x = tf.repeat(tf.repeat(x, 2, 1), 2, 2)
            x = affine(x, f"up_{level}/upsample/conv", x.shape[-1], 3, 3)
    return affine(tf.nn.silu(normalise(x, "norm_out")), "conv_out", CHANNELS, 3, 3)


def example():
    """A store with all variables, an input, and the network's output."""
    store = Store()
    x = np.random.default_rng(1).normal(size=(2, SIZE, SIZE, CHANNELS))
    x, t = x.astype(np.float32), np.array([7, 613], np.int32)
    return store.values, (x, t), network(store, tf.constant(x), t).numpy()


def ported(values):
    """The same weights by the names and in the shapes of the PyTorch port."""
    arrays = {}
    for name, value in values.items():
        *path, leaf = name.split("/")
        if path[0] == "temb":
            path = ["temb", "dense", path[1][-1]]
        path = [part.replace("_", ".") if _numbered(part) else part for part in path]
        if path[0] == "mid":
            path[1] = path[1].replace(".", "_")
        if leaf == "W":
            if path[-1] in ("q", "k", "v", "proj_out", "nin_shortcut"):
                value = value[None, None]
            value = value.transpose(*reversed(range(value.ndim)))
            if value.ndim == 4:
                # [out, in, width, height] so far.
                value = value.swapaxes(2, 3)
        leaf = "weight" if leaf in ("W", "gamma") else "bias"
        arrays[".".join([*path, leaf])] = np.ascontiguousarray(value)
    return arrays


def _numbered(part):
    return part.split("_")[0] in ("down", "up", "block", "attn")
