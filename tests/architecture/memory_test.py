import dataclasses

import pytest

from tests.networks import TINY
from tf_student.architecture import memory, plan
from tf_student.models.unet import UNet
from tf_student.presets import systems

# A network of one level, by hand.
ONE_BLOCK = dataclasses.replace(
    TINY,
    image_size=4,
    base_width=4,
    width_multipliers=(1,),
    blocks_per_level=1,
    attention_resolutions=(),
    groups=2,
    dropout=0.0,
)


@pytest.mark.parametrize("config", [TINY, systems.CIFAR10.unet])
def test_parameters_of_the_network(config):
    assert memory.parameters(config) == UNet(config).count_params()


def test_without_images_there_are_weights_ema_moments_and_gradients():
    assert memory.training(TINY, 0) == 20 * memory.parameters(TINY)


def test_one_block_by_hand():
    config = ONE_BLOCK
    # The inputs of the block down, of the three in the middle and of the two up.
    inputs = 16 * (4 + 3 * 4 + 2 * 8)
    # Residual blocks store inputs + 2 outputs; attention also stores its weights.
    inside = 16 * (3 * 12 + (5 * 4 + 16) + 2 * 16)
    last, gradients = 2 * 16 * 4, 2 * 16 * 12
    weights = 20 * memory.parameters(config)
    values = inputs + inside + last + gradients
    assert memory.training(config, 3) == weights + 3 * 4 * values


def test_recomputing_keeps_the_widest_block_of_each_image():
    widest = max(memory._inside(block, 0.0) for block in plan.blocks(TINY))
    whole = sum(memory._inside(block, 0.0) for block in plan.blocks(TINY))
    saved = memory.training(TINY, 3) - memory.training(TINY, 3, recompute=True)
    assert saved == 3 * 4 * (whole - widest)


def test_two_bytes_halve_the_activations_and_add_a_copy_of_the_weights():
    weights = memory.parameters(TINY)
    activations = memory.training(TINY, 3) - 20 * weights
    half = memory.training(TINY, 3, half=True)
    assert half == 22 * weights + activations // 2


def test_dropout_stores_its_mask_and_its_output():
    dropped = dataclasses.replace(TINY, dropout=0.1)
    outputs = sum(
        block.size**2 * 2 * block.outputs
        for block in plan.blocks(TINY)
        if block.kind == "residual"
    )
    more = memory.training(dropped, 3) - memory.training(TINY, 3)
    assert more == 3 * 4 * outputs


@pytest.mark.parametrize("name", systems.PRESETS)
def test_recomputing_two_bytes_and_fewer_images_save_memory(name):
    config = systems.get_preset(name).unet
    whole = memory.training(config, 32)
    assert memory.training(config, 32, recompute=True) < whole
    assert memory.training(config, 32, half=True) < whole
    assert memory.training(config, 8) < whole


def test_a_batch_of_lsun_fits_a_small_gpu_in_recomputed_parts():
    config, gib = systems.LSUN_BEDROOM.unet, 2**30
    assert memory.training(config, 32) > 40 * gib
    assert memory.training(config, 8, half=True, recompute=True) < 6 * gib


def test_matching_through_the_teacher_stores_three_networks():
    config = dataclasses.replace(TINY, dropout=0.0)
    weights = memory.parameters(config)
    one = memory.training(config, 3) - 20 * weights
    gradients = 3 * 4 * memory._gradients(config)
    matching = memory.matching(config, 3, through_teacher=True)
    assert matching == 36 * weights + 3 * (one - gradients) + gradients


def test_matching_without_gradients_of_the_teacher_by_hand():
    config = ONE_BLOCK
    one = memory.training(config, 3) - 20 * memory.parameters(config)
    # The outputs of the stem and of the block down; the widest has 8 + 4 channels.
    skips, widest = 2 * 16 * 4, 2 * 16 * 12
    other = 2 * (skips + widest)
    matching = memory.matching(config, 3, through_teacher=False)
    expected = 36 * memory.parameters(config) + one + 3 * 4 * (other - widest)
    assert matching == expected


def test_regression_of_a_matched_student_stores_it_twice():
    config = dataclasses.replace(TINY, dropout=0.0)
    weights, gradients = memory.parameters(config), 3 * 4 * memory._gradients(config)
    stored = memory.training(config, 3) - 20 * weights - gradients
    sid, dmd = (
        memory.matching(config, 3, through_teacher=sid, regression=True)
        for sid in (True, False)
    )
    assert sid == 36 * weights + 4 * stored + gradients
    assert dmd == 36 * weights + 2 * stored + gradients
