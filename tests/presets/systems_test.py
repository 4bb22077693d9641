"""The numbers of Luhman & Luhman (arXiv 2101.02388), DDIM and DDPM, as literals."""

import pytest

from tf_student.diffusion import schedules
from tf_student.presets import systems
from tf_student.runtime.errors import InputError

PAPER = ["cifar10", "celeba64", "lsun_bedroom", "lsun_church"]


def test_the_presets_are_the_papers_four_and_small_ones():
    assert list(systems.PRESETS)[:4] == PAPER
    assert {"digits", "mnist"} < set(systems.PRESETS)


@pytest.mark.parametrize(
    ("name", "size", "multipliers", "dropout"),
    [
        ("cifar10", 32, (1, 2, 2, 2), 0.1),
        ("celeba64", 64, (1, 2, 2, 2, 4), 0.1),
        ("lsun_bedroom", 256, (1, 1, 2, 2, 4, 4), 0.0),
        ("lsun_church", 256, (1, 1, 2, 2, 4, 4), 0.0),
    ],
)
def test_network(name, size, multipliers, dropout):
    unet = systems.get_preset(name).unet
    assert unet.image_shape == (size, size, 3)
    assert unet.width_multipliers == multipliers
    assert unet.dropout == dropout
    assert (unet.base_width, unet.blocks_per_level, unet.groups) == (128, 2, 32)
    assert unet.attention_resolutions == (16,)
    assert unet.norm_epsilon == 1e-6


@pytest.mark.parametrize("name", PAPER)
def test_diffusion(name):
    diffusion = systems.get_preset(name).diffusion
    assert diffusion.timesteps == 1000
    assert (diffusion.beta_start, diffusion.beta_end) == (1e-4, 0.02)


@pytest.mark.parametrize(
    ("name", "spacing", "calls", "distinct"),
    [
        ("cifar10", "quadratic", 100, 96),
        ("celeba64", "quadratic", 100, 96),
        ("lsun_bedroom", "uniform", 50, 50),
        ("lsun_church", "uniform", 50, 50),
    ],
)
def test_sampler(name, spacing, calls, distinct):
    sampler = systems.get_preset(name).sampler
    assert (sampler.spacing, sampler.calls) == (spacing, calls)
    assert (
        len(schedules.sampling_timesteps(sampler, systems.get_preset(name).diffusion))
        == distinct
    )


@pytest.mark.parametrize(
    ("name", "held_out"),
    [
        ("cifar10", 51_200),
        ("celeba64", 10_240),
        ("lsun_bedroom", 2_560),
        ("lsun_church", 2_560),
    ],
)
def test_pairs(name, held_out):
    pairs = systems.get_preset(name).pairs
    assert (pairs.pairs, pairs.held_out_pairs) == (1_024_000, held_out)


@pytest.mark.parametrize(
    ("name", "distance", "batch", "adam", "warmup", "ema", "steps"),
    [
        ("cifar10", "l1", 512, (2e-4, 0.9, 0.98, 1e-8), 5000, 0.995, 50_000),
        ("celeba64", "l2", 512, (5e-5, 0.9, 0.98, 1e-8), 5000, 0.995, 70_000),
        ("lsun_bedroom", "l2", 32, (5e-6, 0.98, 0.999, 1e-8), 1000, 0.9995, 1_600_000),
        ("lsun_church", "l2", 32, (5e-6, 0.98, 0.999, 1e-8), 1000, 0.9995, 1_280_000),
    ],
)
def test_student(name, distance, batch, adam, warmup, ema, steps):
    preset = systems.get_preset(name)
    train = preset.student
    assert preset.distill.distance == distance
    assert train.batch_size == batch
    rates = (train.learning_rate, train.beta_1, train.beta_2, train.adam_epsilon)
    assert rates == adam
    assert (train.warmup_steps, train.decay_steps) == (warmup, 0)
    assert train.ema_decay == ema
    assert train.steps == steps
    assert train.clip_norm == 0


@pytest.mark.parametrize(
    ("name", "learning_rate"),
    [
        ("cifar10", 2e-4),
        ("celeba64", 2e-4),
        ("lsun_bedroom", 2e-5),
        ("lsun_church", 2e-5),
    ],
)
def test_teacher(name, learning_rate):
    train = systems.get_preset(name).teacher
    assert train.learning_rate == learning_rate
    assert (train.warmup_steps, train.decay_steps) == (5000, 0)
    assert train.clip_norm == 1.0
    assert train.ema_decay == 0.9999


@pytest.mark.parametrize(
    ("name", "dataset", "flip"),
    [
        ("cifar10", "cifar10", True),
        ("celeba64", "celeb_a", True),
        ("lsun_bedroom", "lsun/bedroom", True),
        ("lsun_church", "lsun/church_outdoor", True),
        ("digits", "digits", False),
        ("mnist", "mnist", False),
    ],
)
def test_data(name, dataset, flip):
    data = systems.get_preset(name).data
    assert (data.dataset, data.split, data.flip) == (dataset, "train", flip)


@pytest.mark.parametrize(("name", "size"), [("digits", 8), ("mnist", 28)])
def test_small_presets_have_images_of_their_datasets_shape(name, size):
    assert systems.get_preset(name).unet.image_shape == (size, size, 1)


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(InputError) as error:
        systems.get_preset("imagenet")
    assert str(error.value) == (
        f"`preset` must be one of: {', '.join(systems.PRESETS)}. "
        "Received: preset=imagenet."
    )
