import pytest

from tests.networks import TINY
from tf_student import architecture, presets
from tf_student.convert import load
from tf_student.unet import UNet

SYSTEMS = {
    "cifar10": (presets.CIFAR10.unet, 35_746_307),
    "celeba64": (presets.CELEBA64.unet, 78_700_803),
    "lsun": (presets.LSUN_BEDROOM.unet, 113_673_219),
}


def test_every_variable_of_the_network_is_there_with_its_shape():
    unet = UNet(TINY)
    shapes = architecture.variables(TINY)
    found = {path: load.variable(unet, path) for path in shapes}
    assert {path: tuple(v.shape) for path, v in found.items()} == shapes
    assert {id(v) for v in found.values()} == {id(v) for v in unet.variables}


@pytest.mark.parametrize(("config", "parameters"), SYSTEMS.values(), ids=SYSTEMS)
def test_counts_are_those_of_the_published_networks(config, parameters):
    count = 0
    for shape in architecture.variables(config).values():
        size = 1
        for n in shape:
            size *= n
        count += size
    assert count == parameters
