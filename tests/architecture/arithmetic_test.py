import dataclasses
import math

import pytest
import tensorflow as tf

from tests.networks import TINY
from tf_student.architecture import arithmetic
from tf_student.models.unet import UNet


def _counted(config):
    """The multiply-adds of the graph of one network call for one image."""
    unet = UNet(config)
    labels = [tf.TensorSpec([1], tf.int32)] if config.classes else []
    graph = (
        tf.function(unet)
        .get_concrete_function(
            tf.TensorSpec([1, *config.image_shape]),
            tf.TensorSpec([1], tf.int32),
            *labels,
        )
        .graph
    )
    total = 0
    for op in graph.get_operations():
        if op.type not in ("Conv2D", "MatMul", "BatchMatMulV2"):
            continue
        first, second = op.inputs
        if op.type == "Conv2D":
            inner = math.prod(second.shape[:3])
        else:
            transposed = op.type == "MatMul" and op.get_attr("transpose_a")
            inner = first.shape[-2 if transposed else -1]
        total += math.prod(op.outputs[0].shape) * inner
    return total


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"heads": 2, "classes": 3, "scale_shift": True},
        {"residual_down_resolutions": (8,), "residual_up_resolutions": (4,)},
        {"middle_attention": "none", "learned_variance": True},
    ],
    ids=lambda options: ",".join(options) or "defaults",
)
def test_counts_the_products_of_the_graph(options):
    config = dataclasses.replace(TINY, **options)
    assert arithmetic.multiply_adds(config) == _counted(config)
