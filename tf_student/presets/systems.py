"""All presets by name."""

from tf_student.presets.digits import DIGITS, DIGITS_CLASSES, DIGITS_LONG, MNIST
from tf_student.presets.paper import CELEBA64, CIFAR10, LSUN_BEDROOM, LSUN_CHURCH
from tf_student.presets.preset import Preset
from tf_student.runtime.errors import InputError

PRESETS = {
    "cifar10": CIFAR10,
    "celeba64": CELEBA64,
    "lsun_bedroom": LSUN_BEDROOM,
    "lsun_church": LSUN_CHURCH,
    "digits": DIGITS,
    "digits_long": DIGITS_LONG,
    "digits_classes": DIGITS_CLASSES,
    "mnist": MNIST,
}


def get_preset(name: str) -> Preset:
    """Returns the preset with this name, such as `cifar10`.

    Raises:
        InputError: if no preset has this name.

    Example:

    >>> get_preset("cifar10").student.batch_size
    512
    """
    if name not in PRESETS:
        raise InputError(
            f"`preset` must be one of: {', '.join(PRESETS)}. Received: preset={name}."
        )
    return PRESETS[name]
