"""Keras 2 models that create their layers in the order of the Denoising Student's code.

The files depend only on this order, because `save_weights` writes layer after layer.
The widths are a quarter of the published ones.
"""

import tensorflow as tf
import tf_keras
from tf_keras.layers import Conv2D, Dense, GroupNormalization

WIDTH = 32
SYSTEMS = {"cifar10": (32, (1, 2, 2, 2)), "celeba": (64, (1, 2, 2, 2, 4))}


def _norm():
    return GroupNormalization(groups=32, epsilon=1e-3)


class Residual(tf_keras.layers.Layer):
    def __init__(self, units, shortcut, from_pytorch):
        super().__init__()
        if from_pytorch:
            self.norm1, self.conv1 = _norm(), Conv2D(units, 3, padding="same")
            self.temb_proj, self.norm2 = Dense(units), _norm()
            self.conv2 = Conv2D(units, 3, padding="same")
            self.skip_conv = Dense(units) if shortcut else None
        else:
            self.conv1 = Conv2D(units, 3, padding="same")
            self.conv2 = Conv2D(units, 3, padding="same")
            self.skip_conv = Dense(units) if shortcut else None
            self.norm1, self.norm2, self.temb_proj = _norm(), _norm(), Dense(units)

    def call(self, x, temb):
        h = self.conv1(tf.nn.silu(self.norm1(x)))
        h += self.temb_proj(tf.nn.silu(temb))[:, None, None]
        h = self.conv2(tf.nn.silu(self.norm2(h)))
        return h + (x if self.skip_conv is None else self.skip_conv(x))


class Attention(tf_keras.layers.Layer):
    def __init__(self, units, from_pytorch):
        super().__init__()
        if from_pytorch:
            self.norm = _norm()
            self.q, self.k, self.v = Dense(units), Dense(units), Dense(units)
            self.proj_out = Dense(units)
        else:
            self.k, self.norm, self.proj_out = Dense(units), _norm(), Dense(units)
            self.q, self.v = Dense(units), Dense(units)

    def call(self, x):
        rows = tf.reshape(self.norm(x), [tf.shape(x)[0], -1, x.shape[-1]])
        weights = tf.matmul(self.q(rows), self.k(rows), transpose_b=True)
        weights = tf.nn.softmax(weights / x.shape[-1] ** 0.5)
        out = self.proj_out(tf.matmul(weights, self.v(rows)))
        return x + tf.reshape(out, tf.shape(x))


class Resample(tf_keras.layers.Layer):
    def __init__(self, units, up):
        super().__init__()
        self.up = up
        self.conv = Conv2D(units, 3, padding="same", strides=1 if up else 2)

    def call(self, x):
        return self.conv(tf.repeat(tf.repeat(x, 2, 1), 2, 2) if self.up else x)


class Teacher(tf_keras.Model):
    """CIFAR-10's was ported from TensorFlow, CelebA's from PyTorch."""

    def __init__(self, name):
        super().__init__()
        size, multipliers = SYSTEMS[name]
        self.from_pytorch = name == "celeba"
        self.widths = [WIDTH * m for m in multipliers]
        self.attends = [size // 2**i == 16 for i in range(len(multipliers))]
        if self.from_pytorch:
            self.temb = [Dense(4 * WIDTH), Dense(4 * WIDTH)]
            self.conv_in = Conv2D(WIDTH, 3, padding="same")
        else:
            self.conv_in = Conv2D(WIDTH, 3, padding="same")
            self.conv_out = Conv2D(3, 3, padding="same")
        for level in range(len(self.widths)):
            self._make("down", level, 2)
        middle = [self._residual(self.widths[-1], False) for _ in range(2)]
        attention = Attention(self.widths[-1], self.from_pytorch)
        if self.from_pytorch:
            self.mids = [middle[0], attention, middle[1]]
        else:
            self.mid1, self.mid0, self.mid2 = attention, *middle
            self.norm_out = _norm()
            self.temb = [Dense(4 * WIDTH), Dense(4 * WIDTH)]
        for level in range(len(self.widths)):
            self._make("up", level, 3)
        if self.from_pytorch:
            self.norm_out, self.conv_out = _norm(), Conv2D(3, 3, padding="same")
        self.middle = middle[0], attention, middle[1]

    def _residual(self, units, shortcut):
        return Residual(units, shortcut, self.from_pytorch)

    def _make(self, side, level, count):
        units = self.widths[level]
        before = self.widths[max(level - 1, 0)]
        blocks = [
            self._residual(units, side == "up" or (not i and before != units))
            for i in range(count)
        ]
        attentions = [Attention(units, self.from_pytorch) for _ in blocks]
        parts = [("blocks", blocks)]
        if self.attends[level]:
            parts.insert(0, ("attentions", attentions))
        if self.from_pytorch:
            parts.reverse()
        resamples = level > 0 if side == "up" else level + 1 < len(self.widths)
        if resamples:
            parts.append(("resample", [Resample(units, side == "up")]))
        for part, layers in parts:
            setattr(self, f"{side}_{part}_{level}", layers)

    def _run(self, side, level, x, temb, skips):
        attentions = getattr(self, f"{side}_attentions_{level}", None)
        for i, block in enumerate(getattr(self, f"{side}_blocks_{level}")):
            if side == "up":
                x = tf.concat([x, skips.pop()], -1)
            x = block(x, temb)
            x = x if attentions is None else attentions[i](x)
            if side == "down":
                skips.append(x)
        for layer in getattr(self, f"{side}_resample_{level}", []):
            x = layer(x)
            if side == "down":
                skips.append(x)
        return x

    def call(self, x, t):
        half = WIDTH // 2
        rates = tf.exp(
            -tf.math.log(10000.0) * tf.range(half, dtype=tf.float32) / (half - 1)
        )
        angles = tf.cast(t, tf.float32)[:, None] * rates
        temb = tf.concat([tf.sin(angles), tf.cos(angles)], -1)
        temb = self.temb[1](tf.nn.silu(self.temb[0](temb)))
        x = self.conv_in(x)
        skips = [x]
        for level in range(len(self.widths)):
            x = self._run("down", level, x, temb, skips)
        first, attention, last = self.middle
        x = last(attention(first(x, temb)), temb)
        for level in reversed(range(len(self.widths))):
            x = self._run("up", level, x, temb, skips)
        return self.conv_out(tf.nn.silu(self.norm_out(x)))


class Student(tf_keras.Model):
    def __init__(self, name):
        super().__init__()
        self.pretrained_model = Teacher(name)

    def call(self, z):
        return z - self.pretrained_model(z, 999.0 * tf.ones_like(z[:, 0, 0, 0]))
