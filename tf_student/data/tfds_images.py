"""Real images from TensorFlow Datasets (TFDS)."""

from typing import Any

import tensorflow as tf

from tf_student.data import resize
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime.errors import InputError, first_line

# (top, left, height, width) of a crop before the resizing. celeb_a: rows 57 to 184 and
# columns 25 to 152 of the aligned 218x178 images, as for the CelebA-64 of DDIM
# (arXiv 2010.02502, app. D).
_CROPS = {"celeb_a": (57, 25, 128, 128)}
# The number of encoded images in memory for shuffling: records of TFDS have no index.
_WINDOW = 16_384


def from_tfds(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Returns the images of a split of a TFDS dataset, which TFDS may download.

    Args:
        data: names the dataset, its split and the data directory.
        image_shape: the shape to which to resize them; None keeps their own, which must
            then be the same for all.

    Raises:
        InputError: if TFDS cannot prepare the dataset, or it has other images.
    """
    import tensorflow_datasets as tfds

    builder = _prepared_builder(data)
    feature, shape = _image_feature(builder, data, image_shape)
    crop = _CROPS.get(builder.name) if image_shape else None

    def decode(element: dict[str, tf.Tensor]) -> tf.Tensor:
        image = feature.decode_example(element["image"])
        if crop:
            image = tf.image.crop_to_bounding_box(image, *crop)
        return resize.fit(image, shape) if image_shape else image

    examples = builder.as_dataset(
        data.split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    classes, no_labels = _classes(builder, examples)
    names = ["image", "label"] if classes else ["image"]
    return ImageSet(
        name=f"{data.dataset} ({data.split})",
        count=builder.info.splits[data.split].num_examples,
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
    if data.split not in builder.info.splits:
        raise InputError(
            f"`split` must be one of {', '.join(builder.info.splits)}. "
            f"Received: split={data.split}."
        )
    if "image" not in builder.info.features:
        raise InputError(
            f"`dataset` must have images. Received: dataset={data.dataset}."
        )
    feature = builder.info.features["image"]
    shape = image_shape or feature.shape
    if None in shape:
        raise InputError(
            f"Images of {data.dataset} differ in size. Compare them with images of one "
            "size, to which they are resized."
        )
    if feature.shape[-1] is not None:
        resize.check_channels(feature.shape[-1], data.dataset, shape)
    return feature, tuple(shape)


def _prepared_builder(data: DataConfig) -> Any:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(data.dataset, data_dir=data.data_dir or None)
        builder.download_and_prepare()
    except tfds.core.registered.DatasetNotFoundError as error:
        raise InputError(
            "`dataset` must be `digits`, an .npz file, a folder of images or a TFDS "
            f"name. Received: dataset={data.dataset}."
        ) from error
    # A download may fail in many ways: no network, a moved file, a manual step.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"TFDS could not prepare {data.dataset} ({type(error).__name__}: {reason})."
        ) from error
    return builder
