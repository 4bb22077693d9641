"""Settings of the C library's allocator that TensorFlow changes."""

import ctypes
import functools

import tensorflow as tf

# Parameters of mallopt in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# What glibc arrives at by itself in a process that uses large tensors.
_LARGE = 32 * 2**20


@functools.cache
def keep_large_blocks() -> None:
    """Lets glibc use the memory of freed tensors again, for this process.

    Under Python 3.11, TensorFlow's generator datasets, among them every distributed
    dataset, set glibc's threshold for `mmap` to 128 KiB when the first one is made, to
    return memory that Python frees. From then on nearly every tensor on the CPU is new
    memory, which the kernel fills with zeros: training takes up to twice as long. This
    function makes such a dataset and then sets the thresholds to glibc's own largest.

    It does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    signature = tf.TensorSpec([], tf.int32)
    next(iter(tf.data.Dataset.from_generator(_zero, output_signature=signature)))
    mallopt(_MMAP_THRESHOLD, _LARGE)
    mallopt(_TRIM_THRESHOLD, 2 * _LARGE)


def _zero():
    yield 0
