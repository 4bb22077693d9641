"""Opens real images: the embedded digits, TFDS, a folder, or an .npz file."""

import importlib.resources
import os

import numpy as np
import tensorflow as tf

from tf_student.data import array_images, folder_images, tfds_images
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime.options import refuse


def load(data: DataConfig, image_shape: Shape | None = None) -> ImageSet:
    """Opens the images that a config names.

    Args:
        data: the config.
        image_shape: `(size, size, channels)`. Images of another size are resized
            (bilinear, antialiased) so that the shorter side has this size, and cropped
            at the centre. With None, images keep their size, which must be the same
            for all.

    Raises:
        InputError: if the images do not exist or do not have these channels.

    Example:

    >>> from tf_student.data import datasets
    >>> images = datasets.load(DataConfig("digits"), (8, 8, 1))
    >>> images.count, images.shape
    (1797, (8, 8, 1))
    """
    match kind(data.dataset):
        case "digits":
            images, labels = digits()
            return array_images.from_array(images, "digits", image_shape, labels)
        case "npz":
            return array_images.from_npz(data, image_shape)
        case "folder":
            return folder_images.from_folder(data.dataset, image_shape)
    if is_path(data.dataset, data.data_dir):
        refuse("dataset", "be an existing folder or .npz file", data.dataset)
    return tfds_images.from_tfds(data, image_shape)


def kind(name: str) -> str:
    """What a name of real images is: `digits`, `npz`, `folder`, or else `tfds`.

    A folder that TFDS prepared is of the kind `tfds`.
    """
    if name == "digits":
        return name
    if name.endswith(".npz"):
        return "npz"
    is_folder = tf.io.gfile.isdir(name) and not tfds_images.prepared_folder(name)
    return "folder" if is_folder else "tfds"


def is_path(name: str, data_dir: str = "") -> bool:
    """Whether a name is that of a file or folder, and none that TFDS knows or prepared.

    Args:
        name: of a dataset. TFDS has names with a slash too, such as `lsun/bedroom`.
        data_dir: data directory of TFDS, which may hold datasets of others.
    """
    if tfds_images.prepared_folder(name):
        return False
    first, slash, _ = name.partition("/")
    if name.startswith((".", "~", "/")) or "://" in name:
        return True
    if not slash or (data_dir and tf.io.gfile.isdir(os.path.join(data_dir, first))):
        return False
    # Slow to import.
    import tensorflow_datasets as tfds

    return first not in tfds.list_builders(with_community_datasets=False)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The optical digits of Alpaydin & Kaynak (1998), UCI repository, CC BY 4.0.

    Returns:
        uint8 images `[1797, 8, 8, 1]` and uint8 labels `[1797]`.
    """
    path = importlib.resources.files("tf_student") / "data" / "digits.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        return arrays["images"], arrays["labels"]
