"""Real images as tf.data: embedded digits, TFDS, a folder, or an .npz file."""

import dataclasses
import importlib.resources
import os
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import streams
from tf_student.data.data_config import DataConfig
from tf_student.runtime.errors import InputError, first_line

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
# Rows 57..184 and columns 25..152 of the aligned 218x178 images: the crop of DDIM's
# CelebA-64 (arXiv 2010.02502, app. D). As top, left, height, width.
_CROPS = {"celeb_a": (57, 25, 128, 128)}
# Encoded images kept in memory to shuffle a TFDS dataset, whose records have no index.
_TFDS_WINDOW = 16_384
_DAMAGED = (zipfile.BadZipFile, zlib.error, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A fixed sequence of real images.

    Attributes:
        name: what to call it in reports.
        count: number of images.
        elements: the images in their cheapest form: indices, paths, encoded bytes.
        decode: from an element to uint8 `[size, size, channels]`.
        window: elements that are held and shuffled together.
        shape: of an image.
        preparation: what is done to images of another size.
        diagnose: raises an `InputError` that names an unreadable image, if any.
    """

    name: str
    count: int
    elements: tf.data.Dataset
    decode: Callable[[tf.Tensor], tf.Tensor]
    window: int
    shape: tuple[int, int, int]
    preparation: str
    diagnose: Callable[[], None] = lambda: None

    def images(self) -> tf.data.Dataset:
        """All images once, uint8 `[size, size, channels]`, in their fixed order."""
        return streams.untuned(self.elements.map(self.decode, tf.data.AUTOTUNE))

    def shuffled(self, *, seed: int, start: int) -> tf.data.Dataset:
        """Endless (position, element), each epoch in an order of its own."""

        def epoch(number, skip):
            return streams.shuffle_windows(
                self.elements, size=self.window, seed=seed, epoch=number
            ).skip(skip)

        return streams.endless(epoch, count=self.count, start=start)


Shape = tuple[int, int, int]


def load(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Opens the images that `data` names, brought to `image_shape`.

    Images of another size are resized (antialiased, bilinear) so that the shorter side
    fits, then cropped at the centre. Without an `image_shape` they stay as they are,
    and all must have the first one's.

    Raises:
        InputError: if there are none, or they do not fit.
    """
    if data.dataset == "digits":
        return _from_array(digits()[0], "digits", image_shape)
    if data.dataset.endswith(".npz"):
        return _from_array(_read_npz(data), data.dataset, image_shape)
    if tf.io.gfile.isdir(data.dataset):
        return _from_folder(data.dataset, image_shape)
    return _from_tfds(data, image_shape)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The optical digits of Alpaydin & Kaynak (1998), UCI repository, CC BY 4.0.

    Returns:
        uint8 images `[1797, 8, 8, 1]` and uint8 labels `[1797]`.
    """
    path = importlib.resources.files("tf_student") / "data" / "digits.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        return arrays["images"], arrays["labels"]


def _preparation(shape: Shape, own: Shape | None = None, crop: tuple = ()) -> str:
    """What `_fit` does to images whose own shape is known, or not."""
    if own == shape:
        return "as they are"
    top, left, height, width = crop or (0,) * 4
    cut = f"crop {height}x{width} at row {top}, column {left}; " if crop else ""
    return (
        f"{cut}shorter side resized to {shape[0]} where it differs (bilinear, "
        "antialiased), centre crop"
    )


def _fit(image: tf.Tensor, image_shape: Shape) -> tf.Tensor:
    """Resizes the shorter side to the size and crops the centre; uint8 in and out."""
    size = image_shape[0]
    shape = tf.shape(image)[:2]

    def resized():
        scale = size / tf.reduce_min(shape)
        target = tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32)
        large = tf.image.resize(image, tf.maximum(target, size), antialias=True)
        large = tf.cast(tf.round(tf.clip_by_value(large, 0.0, 255.0)), tf.uint8)
        return tf.image.resize_with_crop_or_pad(large, size, size)

    image = tf.cond(tf.reduce_all(shape == size), lambda: image, resized)
    return tf.ensure_shape(image, image_shape)


def _from_array(array: np.ndarray, name: str, image_shape: Shape | None) -> ImageSet:
    if array.dtype != np.uint8 or array.ndim != 4 or not len(array):
        raise InputError(
            f"{name} must hold uint8 images [n, height, width, channels]. "
            f"Received: {array.dtype} {list(array.shape)}."
        )
    own = tuple(array.shape[1:])
    shape = image_shape or own
    _check_channels(own[-1], name, shape)
    # Captured by the map as a tensor, so the graph holds no copy of it.
    images = tf.constant(array)
    return ImageSet(
        name=name,
        count=len(array),
        elements=tf.data.Dataset.range(len(array)),
        decode=lambda index: (
            images[index] if shape == own else _fit(images[index], shape)
        ),
        window=len(array),
        shape=shape,
        preparation=_preparation(shape, own),
    )


def _check_channels(channels: int, name: str, image_shape) -> None:
    if channels != image_shape[-1]:
        raise InputError(
            f"`channels` must be the channels of {name}, {channels}. "
            f"Received: channels={image_shape[-1]}."
        )


def _read_npz(data: DataConfig) -> np.ndarray:
    if not tf.io.gfile.exists(data.dataset):
        raise InputError(f"`dataset` names no file. Received: {data.dataset}.")
    try:
        with tf.io.gfile.GFile(data.dataset, "rb") as file, np.load(file) as arrays:
            names = list(arrays)
            name = names[0] if len(names) == 1 else data.split
            if name in names:
                return arrays[name]
    # GFile's own errors too: zipfile seeks to before the start of a short file.
    except (ValueError, TypeError, EOFError, *_DAMAGED) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{data.dataset} is not an .npz file: {reason}.") from error
    raise InputError(
        f"`split` must name an array of {data.dataset}: {', '.join(names)}. "
        f"Received: split={data.split}."
    )


def _from_folder(folder: str, image_shape) -> ImageSet:
    paths = sorted(
        os.path.join(parent, name)
        for parent, _, names in tf.io.gfile.walk(folder)
        for name in names
        if name.lower().endswith(_SUFFIXES)
    )
    if not paths:
        raise InputError(
            f"`dataset` must be a folder with {', '.join(_SUFFIXES)} files. "
            f"Received: {folder}."
        )

    def opened(path):
        channels = image_shape[-1] if image_shape else 0
        return tf.io.decode_image(
            tf.io.read_file(path), channels, expand_animations=False
        )

    shape = image_shape or _try(opened, paths[:1])

    def decode(path):
        image = tf.ensure_shape(opened(path), [None, None, shape[-1]])
        return _fit(image, shape) if image_shape else tf.ensure_shape(image, shape)

    return ImageSet(
        name=folder,
        count=len(paths),
        elements=tf.data.Dataset.from_tensor_slices(paths),
        decode=decode,
        window=len(paths),
        shape=shape,
        preparation=_preparation(shape, None if image_shape else shape),
        diagnose=lambda: _try(decode, paths),
    )


def _try(decode: Callable[[str], tf.Tensor], paths: list[str]) -> tuple[int, ...]:
    """The last image's shape; an `InputError` names the first that is unreadable."""
    for path in paths:
        try:
            image = decode(path)
        except (tf.errors.OpError, ValueError) as error:
            reason = first_line(error)
            raise InputError(f"{path} is not a readable image: {reason}") from error
    return tuple(image.shape)


def _from_tfds(data: DataConfig, image_shape) -> ImageSet:
    builder = _tfds_builder(data)
    if data.split not in builder.info.splits:
        raise InputError(
            f"`split` must be one of {', '.join(builder.info.splits)}. "
            f"Received: split={data.split}."
        )
    if "image" not in builder.info.features:
        raise InputError(f"`dataset` has no images. Received: {data.dataset}.")
    feature = builder.info.features["image"]
    shape = image_shape or feature.shape
    if None in shape:
        raise InputError(
            f"Images of {data.dataset} have many sizes; compare them with images of "
            "one size, to which they are brought."
        )
    if feature.shape[-1] is not None:
        _check_channels(feature.shape[-1], data.dataset, shape)
    crop = _CROPS.get(builder.name) if image_shape else None

    def decode(encoded):
        image = feature.decode_example(encoded)
        if crop:
            image = tf.image.crop_to_bounding_box(image, *crop)
        return _fit(image, shape) if image_shape else image

    import tensorflow_datasets as tfds

    examples = builder.as_dataset(
        data.split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    return ImageSet(
        name=f"{data.dataset} ({data.split})",
        count=builder.info.splits[data.split].num_examples,
        elements=examples.map(lambda example: example["image"]),
        decode=decode,
        window=_TFDS_WINDOW,
        shape=tuple(shape),
        preparation=_preparation(shape, feature.shape, crop or ()),
    )


def _tfds_builder(data: DataConfig):
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(data.dataset, data_dir=data.data_dir or None)
        builder.download_and_prepare()
    except tfds.core.registered.DatasetNotFoundError as error:
        raise InputError(
            "`dataset` must be `digits`, an .npz file, a folder of images or a TFDS "
            f"name. Received: dataset={data.dataset}."
        ) from error
    # Whatever a download runs into: no network, a moved file, a manual step.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"TFDS could not prepare {data.dataset} ({type(error).__name__}: {reason})."
        ) from error
    return builder
