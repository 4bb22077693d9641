"""Networks with weights of two bytes."""

from tf_student.models.student import Student
from tf_student.models.teacher import Teacher


def halve(network: Student | Teacher, dtype: str) -> Student | Teacher:
    """A network that computes and stores its weights in bfloat16 or float16.

    Norm parameters stay float32. It computes what a mixed policy would, which rounds
    the same weights at every call.
    """
    unet = network.unet.copy(dtype=dtype)
    if isinstance(network, Teacher):
        return Teacher(unet, network.diffusion)
    return Student(unet, network.diffusion, origin=network.origin, dtype=dtype)
