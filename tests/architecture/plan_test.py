import math

import pytest

from tests.networks import TINY
from tf_student.architecture import plan
from tf_student.models.unet import UNet
from tf_student.presets import systems

SYSTEMS = {
    "cifar10": (systems.CIFAR10.unet, 35_746_307),
    "celeba64": (systems.CELEBA64.unet, 78_700_803),
    "lsun": (systems.LSUN_BEDROOM.unet, 113_673_219),
}


def test_every_variable_of_the_network_is_planned_with_its_shape():
    unet = UNet(TINY)
    variables = unet.named_variables()
    shapes = {path: tuple(v.shape) for path, v in variables.items()}
    assert shapes == plan.variables(TINY)
    assert {id(v) for v in variables.values()} == {id(v) for v in unet.variables}


@pytest.mark.parametrize(("config", "parameters"), SYSTEMS.values(), ids=SYSTEMS)
def test_counts_are_those_of_the_published_networks(config, parameters):
    assert sum(map(math.prod, plan.variables(config).values())) == parameters


def test_blocks_of_a_tiny_network():
    # kind, path, level, index, size, inputs, outputs; sums are with skip connections.
    assert [
        (b.kind, b.path, b.level, b.index, b.size, b.inputs, b.outputs)
        for b in plan.blocks(TINY)
    ] == [
        ("residual", "down.0.0", 0, 0, 8, 8, 8),
        ("downsample", "down.1.0", 0, 0, 8, 8, 8),
        ("residual", "down.2.0", 1, 0, 4, 8, 16),
        ("attention", "down.2.1", 1, 0, 4, 16, 16),
        ("residual", "middle.0", 1, 0, 4, 16, 16),
        ("attention", "middle.1", 1, 0, 4, 16, 16),
        ("residual", "middle.2", 1, 1, 4, 16, 16),
        ("residual", "up.0.0", 1, 0, 4, 16 + 16, 16),
        ("attention", "up.0.1", 1, 0, 4, 16, 16),
        ("residual", "up.1.0", 1, 1, 4, 16 + 8, 16),
        ("attention", "up.1.1", 1, 1, 4, 16, 16),
        ("upsample", "up.2.0", 1, 0, 4, 16, 16),
        ("residual", "up.3.0", 0, 0, 8, 16 + 8, 8),
        ("residual", "up.4.0", 0, 1, 8, 8 + 8, 8),
    ]


@pytest.mark.parametrize("name", systems.PRESETS)
def test_a_block_is_identified_by_its_path_and_by_its_place(name):
    blocks = list(plan.blocks(systems.get_preset(name).unet))
    assert len({block.path for block in blocks}) == len(blocks)
    places = {(b.kind, b.side, b.level, b.index) for b in blocks}
    assert len(places) == len(blocks)


@pytest.mark.parametrize("name", systems.PRESETS)
def test_each_skip_connection_is_used_once(name):
    config = systems.get_preset(name).unet
    blocks = list(plan.blocks(config))
    down = [b for b in blocks if b.side == "down" and b.kind != "attention"]
    up = [b for b in blocks if b.side == "up" and b.kind == "residual"]
    assert len(up) == 1 + len(down)
    skips = sum(b.outputs for b in down) + config.base_width
    before = [config.widths[-1], *(b.outputs for b in up[:-1])]
    assert sum(b.inputs for b in up) == sum(before) + skips


def test_layers_of_the_unet_itself_belong_to_no_block():
    own = [layer for layer in plan.layers(TINY) if layer.block is None]
    assert [(layer.path, layer.kind) for layer in own] == [
        ("stem", "conv"),
        ("embedding.dense_0", "dense"),
        ("embedding.dense_1", "dense"),
        ("norm", "norm"),
        ("head", "conv"),
    ]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("down.0.0", ["norm_0", "conv_0", "time", "norm_1", "conv_1"]),
        ("down.1.0", ["conv"]),
        ("down.2.0", ["norm_0", "conv_0", "time", "norm_1", "conv_1", "shortcut"]),
        ("down.2.1", ["norm", "qkv", "out"]),
        ("up.2.0", ["conv"]),
    ],
)
def test_layers_of_a_block(path, names):
    own = [
        layer for layer in plan.layers(TINY) if layer.block and layer.block.path == path
    ]
    assert [layer.name for layer in own] == names
    assert [layer.path for layer in own] == [f"{path}.{name}" for name in names]


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("conv", {"kernel": (3, 3, 2, 5), "bias": (5,)}),
        ("point", {"kernel": (1, 1, 2, 5), "bias": (5,)}),
        ("dense", {"kernel": (2, 5), "bias": (5,)}),
        ("norm", {"gamma": (5,), "beta": (5,)}),
    ],
)
def test_shapes_of_a_layer(kind, shapes):
    layer = plan.Layer("a", kind, 2, 5, "embedding")
    assert list(layer.shapes().items()) == list(shapes.items())
    assert layer.variables() == {
        f"embedding.a.{name}": shape for name, shape in shapes.items()
    }
