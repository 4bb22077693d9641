"""Short ways for tests to load real images and to read their streams."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet
from tf_student.runtime.errors import InputError


def load(dataset, shape=(8, 8, 3), **kwargs) -> ImageSet:
    return datasets.load(DataConfig(str(dataset), **kwargs), shape)


def all_images(image_set: ImageSet) -> np.ndarray:
    return np.stack(list(image_set.images().as_numpy_iterator()))


def write_png(path, image: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def take(dataset, n):
    return [
        (int(position), element)
        for position, element in itertools.islice(dataset.as_numpy_iterator(), n)
    ]
