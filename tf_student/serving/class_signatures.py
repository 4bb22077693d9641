"""The signatures of an exported model with classes."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.diffusion.inputs import Inputs
from tf_student.serving.signatures import (
    LABELS,
    SEED,
    ServedModel,
    encode_pngs,
    scalar,
    within,
)

_LABELS = tf.TensorSpec([None], tf.int32, LABELS)
# In place of a label: draw the class from the seed.
ANY = -1


class ServedClasses(ServedModel):
    """A generator with classes, with its signatures.

    Labels are int32 from 0 to `classes - 1`; beside a seed, -1 draws the class from the
    seed and the image's index, as `tf-student sample` does.

    Args:
        generate: function from the pair of float32 noise `[n, *shape]` and int32 labels
            `[n]` to float images of the shape of the noise.
        variables: as for `ServedModel`.
        shape: `(height, width, channels)` of an image.
        limit: largest number of images in a request.
        classes: number of classes.
    """

    def __init__(
        self,
        generate: Callable[[Inputs], tf.Tensor],
        variables: Sequence[tf.Variable],
        shape: tuple[int, int, int],
        limit: int,
        classes: int,
    ):
        super().__init__(generate, variables, shape, limit)
        self._classes = classes

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """New functions by name, as those of `ServedModel` but for the labels.

        - `serving_default`: float32 `noise` `[n, *shape]` and `labels` `[n]` to uint8
          `images`.
        - `sample`: `seed`, `labels` `[n]` to `images`.
        - `interpolate`: `seed_a`, `seed_b`, int32 `steps` and `label` to `images`.
        - `png`, `png_json`: `seed`, `labels` to PNG files.
        """
        function = functools.partial(tf.function, autograph=False)
        spec = tf.TensorSpec
        z = spec([None, *self._shape], tf.float32, "noise")
        self._uint8_images = function(
            lambda z, labels: images.to_uint8(self.generate((z, labels))),
            input_signature=[z, _LABELS],
        )
        ends = [spec([], tf.int64, "seed_a"), spec([], tf.int64, "seed_b")]
        walk = [*ends, spec([], tf.int32, "steps"), spec([], tf.int32, "label")]
        drawn = [SEED, _LABELS]
        functions = {
            "serving_default": function(self._from_both, input_signature=[z, _LABELS]),
            "sample": function(self._sample_classes, input_signature=drawn),
            "interpolate": function(self._walk, input_signature=walk),
        }
        if self._shape[-1] in (1, 2, 3, 4):
            for name, output in (("png", "png"), ("png_json", "png_bytes")):
                functions[name] = function(self._pngs(output), input_signature=drawn)
        return functions

    def _from_both(self, noise, labels):
        z = tf.ensure_shape(noise, [None, *self._shape])
        labels, rows = self._checked(labels, 0), tf.shape(z)[0]
        must = "`labels` must have as many rows as `noise`."
        with tf.control_dependencies([within(tf.shape(labels)[0], rows, rows, must)]):
            return {"images": self._uint8_images(tf.identity(z), labels)}

    def _sample_classes(self, seed, labels):
        return {"images": self._of_seed(seed, labels)}

    def _pngs(self, output: str):
        def png(seed, labels):
            return {output: encode_pngs(self._of_seed(seed, labels))}

        return png

    def _walk(self, seed_a, seed_b, steps, label):
        walk = self._between(seed_a, seed_b, steps)
        label = scalar(label, ANY, self._classes - 1, "label")
        label = self._drawn(seed_a, label[None])[0]
        return {"images": self._uint8_images(walk, tf.fill([tf.shape(walk)[0]], label))}

    def _of_seed(self, seed, labels):
        labels = self._checked(labels, ANY)
        z = self._noise(seed, tf.shape(labels)[0], "seed")
        return self._uint8_images(z, self._drawn(seed, labels))

    def _drawn(self, seed, labels):
        """The labels, with drawn ones in place of `ANY`."""
        indices = noise.EVALUATION + tf.range(tf.shape(labels, tf.int64)[0])
        drawn = network_inputs.labels(seed, indices, self._classes)
        return tf.where(labels == ANY, drawn, labels)

    def _checked(self, labels, low):
        """The labels, which fail when they run unless all are in the range."""
        labels = tf.ensure_shape(labels, [None])
        must = f"`labels` must have 1 to {self._limit} rows."
        count = within(tf.shape(labels)[0], 1, self._limit, must)
        must = f"`labels` must be {low} to {self._classes - 1}."
        with tf.control_dependencies([count]):
            ends = [tf.reduce_min(labels), tf.reduce_max(labels)]
        checks = [within(end, low, self._classes - 1, must) for end in ends]
        with tf.control_dependencies(checks):
            return tf.identity(labels)
