import pytest

from tests.networks import TINY
from tf_student.architecture import plan
from tf_student.models import pretrained
from tf_student.models.unet import UNet
from tf_student.presets import systems

SYSTEMS = {
    "cifar10": (systems.CIFAR10.unet, 35_746_307),
    "celeba64": (systems.CELEBA64.unet, 78_700_803),
    "lsun": (systems.LSUN_BEDROOM.unet, 113_673_219),
}


def test_every_variable_of_the_network_is_there_with_its_shape():
    unet = UNet(TINY)
    shapes = plan.variables(TINY)
    found = {path: pretrained.variable(unet, path) for path in shapes}
    assert {path: tuple(v.shape) for path, v in found.items()} == shapes
    assert {id(v) for v in found.values()} == {id(v) for v in unet.variables}


@pytest.mark.parametrize(("config", "parameters"), SYSTEMS.values(), ids=SYSTEMS)
def test_counts_are_those_of_the_published_networks(config, parameters):
    count = 0
    for shape in plan.variables(config).values():
        size = 1
        for n in shape:
            size *= n
        count += size
    assert count == parameters
