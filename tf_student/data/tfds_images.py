"""Real images from TensorFlow Datasets (TFDS)."""

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.data import resize
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError, first_line

# (top, left, height, width) of a crop before the resizing. celeb_a: rows 57 to 184 and
# columns 25 to 152 of the aligned 218x178 images, as for the CelebA-64 of DDIM
# (arXiv 2010.02502, app. D).
_CROPS = {"celeb_a": (57, 25, 128, 128)}
# The number of encoded images in memory for shuffling: records of TFDS have no index.
_WINDOW = 16_384
# The file that TFDS writes last into the folder of a version.
_INFO = "dataset_info.json"
_VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}")


def from_tfds(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Returns the images of a split of a TFDS dataset, which TFDS may download.

    Args:
        data: names the dataset or the folder in which TFDS prepared it, the split, such
            as `train`, `train[:50%]` or `train+test`, and the data directory.
        image_shape: the shape to which to resize them; None keeps their own, which must
            then be the same for all.

    Raises:
        InputError: if TFDS cannot prepare the dataset, or it has other images.
    """
    import tensorflow_datasets as tfds

    builder = _prepared_builder(data)
    count = _count(builder, data)
    feature, shape = _image_feature(builder, data, image_shape)
    crop = _CROPS.get(builder.name) if image_shape else None

    def decode(element: dict[str, tf.Tensor]) -> tf.Tensor:
        image = feature.decode_example(element["image"])
        if crop:
            image = tf.image.crop_to_bounding_box(image, *crop)
        return resize.fit(image, shape) if image_shape else image

    examples = _reading(
        data,
        builder.as_dataset,
        split=data.split,
        decoders={"image": tfds.decode.SkipDecoding()},
    )
    classes, no_labels = _classes(builder, examples)
    names = ["image", "label"] if classes else ["image"]
    return ImageSet(
        name=f"{data.dataset} ({data.split})",
        count=count,
        elements=examples.map(lambda example: {k: example[k] for k in names}),
        decode=decode,
        window=_WINDOW,
        shape=shape,
        preparation=resize.describe(shape, feature.shape, crop),
        classes=classes,
        label=_label if classes else None,
        no_labels=no_labels,
    )


def _label(element: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.cast(element["label"], tf.int32)


def _classes(builder: Any, examples: tf.data.Dataset) -> tuple[int, str]:
    """Number of classes; or 0, and why the labels cannot be used."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    kind = features["label"] if "label" in features else None
    if not isinstance(kind, tfds.features.ClassLabel):
        return 0, ""
    # TFDS marks the examples of a split without labels so.
    if any(example["label"] < 0 for example in examples.take(1)):
        return 0, "this split has none."
    return kind.num_classes, ""


def _image_feature(
    builder: Any, data: DataConfig, image_shape: Shape | None
) -> tuple[Any, Shape]:
    """The feature of the images, and the shape of the prepared images."""
    import tensorflow_datasets as tfds

    feature = dict(builder.info.features).get("image")
    if not isinstance(feature, tfds.features.Image) or feature.np_dtype != np.uint8:
        raise InputError(
            "`dataset` must have images, as the uint8 feature `image`. "
            f"Received: dataset={data.dataset}."
        )
    shape = image_shape or feature.shape
    if None in shape:
        raise InputError(
            f"Images of {data.dataset} differ in size. Compare them with images of one "
            "size, to which they are resized."
        )
    if feature.shape[-1] is not None:
        resize.check_channels(feature.shape[-1], data.dataset, shape)
    return feature, tuple(shape)


def _count(builder: Any, data: DataConfig) -> int:
    """The number of examples of the split."""
    splits = builder.info.splits
    try:
        count = splits[data.split].num_examples
    # TFDS raises many types for what it cannot parse.
    except Exception as error:
        names = list(splits)
        raise InputError(
            f"`split` must be one of {', '.join(names)}, or made of them, as in "
            f"{names[0] if names else 'train'}[:50%]. Received: split={data.split}."
        ) from error
    if not count:
        raise InputError(
            f"`split` must have images. Received: split={data.split} of {data.dataset}."
        )
    return count


def prepared_folder(path: str) -> str | None:
    """The folder of a version that TFDS prepared: a path, or the newest version in it.

    Args:
        path: the folder of a version, or of the versions of a dataset or of one of its
            configurations.
    """
    names = filter(_VERSION.fullmatch, paths.listdir(path))
    ordered = sorted(names, key=lambda name: [int(part) for part in name.split(".")])
    versions = (os.path.join(path, name) for name in reversed(ordered))
    return next(filter(_is_version, (path, *versions)), None)


def _is_version(folder: str) -> bool:
    return tf.io.gfile.exists(os.path.join(folder, _INFO))


def _prepared_builder(data: DataConfig) -> Any:
    import tensorflow_datasets as tfds

    if folder := prepared_folder(data.dataset):
        return _reading(data, tfds.builder_from_directory, folder)
    try:
        builder = tfds.builder(data.dataset, data_dir=data.data_dir or None)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise InputError(
            "`dataset` must be `digits`, an .npz file, a folder of images or a TFDS "
            f"name. Received: dataset={data.dataset}."
        ) from error
    except Exception as error:
        raise _failure(data, error) from error
    _reading(data, builder.download_and_prepare)
    return builder


def _reading(
    data: DataConfig, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """What a function of TFDS returns; any error of it names the dataset."""
    try:
        return call(*args, **kwargs)
    # A download may fail in many ways: no network, a moved file, a manual step.
    except Exception as error:
        raise _failure(data, error) from error


def _failure(data: DataConfig, error: Exception) -> InputError:
    reason = first_line(error)
    return InputError(
        f"TFDS could not prepare {data.dataset} ({type(error).__name__}: {reason})."
    )
