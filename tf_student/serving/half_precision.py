"""Networks in another dtype, such as bfloat16 or float16 with weights of two bytes."""

from tf_student.models.student import Student
from tf_student.models.teacher import Teacher


def with_dtype(network: Student | Teacher, dtype: str) -> Student | Teacher:
    """The network in a dtype, for its computation and for its stored weights.

    The parameters of norms stay float32. The images are those of a mixed policy, which
    rounds the same weights in every call.

    Args:
        network: unchanged by the conversion.
        dtype: `float32`, `bfloat16` or `float16`.

    Returns:
        The network itself if it has this dtype, and a copy otherwise.

    Example:

    >>> half = with_dtype(student, "bfloat16")
    """
    if network.unet.dtype_policy.name == dtype:
        return network
    unet = network.unet.copy(dtype=dtype)
    if isinstance(network, Teacher):
        return Teacher(unet, network.diffusion)
    return Student(unet, network.diffusion, origin=network.origin, dtype=dtype)
