"""Classifier-free guidance (Ho & Salimans, arXiv 2207.12598)."""

from collections.abc import Callable

import tensorflow as tf

# The output for float32 x `[batch, ...]`, int32 t `[batch]` and int32 labels `[batch]`.
ConditionalNetwork = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def guided(
    network: ConditionalNetwork,
    labels: tf.Tensor,
    *,
    guidance: float = 1.0,
    null_label: int = 0,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A network of x and t whose output is moved towards the classes of its images.

    With y the class of an image and n the null class, which stands for any class, it is

        network(x, t, n) + guidance (network(x, t, y) - network(x, t, n))

    This is eq. 6 of the paper with guidance = 1 + w. Both outputs come from one call
    with twice as many images; guidance 1 needs only the first.

    Args:
        network: a network with classes.
        labels: int32 `[batch]`, the class of each image.
        guidance: the weight; 1: no guidance, 0: no class.
        null_label: the label of the null class.

    Returns:
        A function from float32 x `[batch, ...]` and int32 t `[batch]` to the output.

    Example:

    >>> from tf_student.diffusion.guidance import guided
    >>> network = guided(lambda x, t, y: tf.cast(y, tf.float32), tf.constant([3]),
    ...                  guidance=2.0, null_label=1)
    >>> network(tf.zeros([1]), tf.constant([0])).numpy().tolist()
    [5.0]
    """
    if guidance == 1.0:
        return lambda x, t: network(x, t, labels)

    def output(x: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        both = tf.concat([labels, tf.fill(tf.shape(labels), null_label)], axis=0)
        x, t = (tf.concat([part, part], axis=0) for part in (x, t))
        of_class, of_any = tf.split(network(x, t, both), 2)
        return of_any + guidance * (of_class - of_any)

    return output
