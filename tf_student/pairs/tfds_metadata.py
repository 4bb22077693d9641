"""Metadata with which `tfds.builder_from_directory` opens a pair set."""

import numpy as np

from tf_student.pairs import manifests


def write(directory: str, manifest: manifests.Manifest) -> None:
    """Writes `dataset_info.json` and `features.json` of TFDS beside the shards."""
    # Slow to import, and needed only when a set is completed.
    import tensorflow_datasets as tfds

    shape, pairs = manifest.image_shape, manifest.pairs
    raw = tfds.features.Encoding.BYTES
    image = (
        tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding=raw)
        if pairs.encoding == "raw"
        else tfds.features.Image(shape=shape, encoding_format="png")
    )
    features = {"index": tfds.features.Scalar(np.int64), "image": image}
    if manifest.classes:
        features["label"] = tfds.features.ClassLabel(num_classes=manifest.classes)
    if pairs.store_noise:
        features["noise"] = tfds.features.Tensor(
            shape=shape, dtype=np.float32, encoding=raw
        )
    template = tfds.core.ShardedFileTemplate(
        data_dir=directory,
        dataset_name="pairs",
        filetype_suffix="tfrecord",
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )
    splits = [
        tfds.core.SplitInfo(
            name=name,
            shard_lengths=[shard.pairs for shard in manifest.split(name)],
            num_bytes=sum(shard.size for shard in manifest.split(name)),
            filename_template=template,
        )
        for name in (manifests.TRAIN, manifests.HELD_OUT)
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        features=tfds.features.FeaturesDict(features),
        split_infos=splits,
        filename_template=template,
        check_data=False,
    )
