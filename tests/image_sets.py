"""Real images as a test asks for them, and what it is told instead."""

import itertools

import numpy as np
import pytest

from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.runtime.errors import InputError


def load(dataset, shape=(8, 8, 3), **kwargs) -> datasets.ImageSet:
    return datasets.load(DataConfig(str(dataset), **kwargs), shape)


def all_images(image_set: datasets.ImageSet) -> np.ndarray:
    return np.stack(list(image_set.images().as_numpy_iterator()))


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def take(dataset, n):
    return [
        (int(position), element)
        for position, element in itertools.islice(dataset.as_numpy_iterator(), n)
    ]
