import dataclasses

import pytest

from tests.networks import TINY
from tf_student.architecture import memory
from tf_student.models.unet import UNet
from tf_student.presets import systems


@pytest.mark.parametrize("config", [TINY, systems.CIFAR10.unet])
def test_counts_the_networks_weights(config):
    assert memory.parameters(config) == UNet(config).count_params()


def test_without_images_there_are_weights_averages_moments_and_gradients():
    assert memory.training(TINY, 0) == 20 * memory.parameters(TINY)


def test_one_block_by_hand():
    config = dataclasses.replace(
        TINY,
        image_size=4,
        base_width=4,
        width_multipliers=(1,),
        blocks_per_level=1,
        attention_resolutions=(),
        groups=2,
        dropout=0.0,
    )
    # Inputs of the block down, of the middle's three and of the two blocks up.
    inputs = 16 * (4 + 3 * 4 + 2 * 8)
    # Within residual blocks inputs + 2 outputs; within attention also its weights.
    inside = 16 * (3 * 12 + (5 * 4 + 16) + 2 * 16)
    last, passing = 2 * 16 * 4, 2 * 16 * 12
    weights = 20 * memory.parameters(config)
    kept = inputs + inside + last + passing
    assert memory.training(config, 3) == weights + 3 * 4 * kept


@pytest.mark.parametrize("name", systems.PRESETS)
def test_recomputing_and_two_bytes_save_memory(name):
    config = systems.get_preset(name).unet
    whole = memory.training(config, 32)
    assert memory.training(config, 32, recompute=True) < whole
    assert memory.training(config, 32, half=True) < whole
    assert memory.training(config, 8) < whole


def test_lsuns_batch_fits_a_small_card_in_recomputed_parts():
    config, gib = systems.LSUN_BEDROOM.unet, 2**30
    assert memory.training(config, 32) > 40 * gib
    assert memory.training(config, 8, half=True, recompute=True) < 6 * gib
