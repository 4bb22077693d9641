import dataclasses
import inspect

import pytest
import tf_student.client.config
import tf_student.config
import tf_student.convert.config
import tf_student.evaluation.config
import tf_student.gallery.config
import tf_student.pairs.config
import tf_student.serving.config

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import from_dict, to_dict
from tf_student.training.training_config import TrainConfig

KINDS = [
    kind
    for module in (
        tf_student.config,
        tf_student.client.config,
        tf_student.convert.config,
        tf_student.evaluation.config,
        tf_student.gallery.config,
        tf_student.pairs.config,
        tf_student.serving.config,
    )
    for _, kind in inspect.getmembers(module, dataclasses.is_dataclass)
]


def message(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_a_size_that_the_levels_do_not_divide_is_refused():
    assert message(lambda: UNetConfig(image_size=36)) == (
        "`image_size` must be divisible by 8, for 4 levels halve it 3 times. "
        "Received: image_size=36."
    )


def test_groups_that_do_not_divide_a_width_are_refused():
    assert message(lambda: UNetConfig(groups=3)) == (
        "`groups` must divide the channels. Received: groups=3, channels=128."
    )


def test_an_odd_base_width_is_refused():
    assert message(lambda: UNetConfig(base_width=33, groups=3)) == (
        "`base_width` must be even. Received: base_width=33."
    )


def test_a_network_without_levels_is_refused():
    assert message(lambda: UNetConfig(width_multipliers=())) == (
        "`width_multipliers` must name at least one level. "
        "Received: width_multipliers=()."
    )


def test_each_element_of_a_tuple_is_checked():
    assert message(lambda: UNetConfig(width_multipliers=(1, 0))) == (
        "`width_multipliers` must be at least 1. Received: width_multipliers=(1, 0)."
    )


def test_dropout_of_everything_is_refused():
    assert message(lambda: UNetConfig(dropout=1.0)) == (
        "`dropout` must be below 1. Received: dropout=1.0."
    )


def test_an_unknown_choice_is_refused_with_the_known_ones():
    assert message(lambda: SamplerConfig("cubic")) == (
        "`spacing` must be one of: uniform, quadratic, log_snr. "
        "Received: spacing='cubic'."
    )


def test_a_number_below_its_minimum_is_refused():
    assert message(lambda: TrainConfig(batch_size=0)) == (
        "`batch_size` must be at least 1. Received: batch_size=0."
    )


def test_not_a_number_is_refused():
    assert message(lambda: TrainConfig(learning_rate=float("nan"))) == (
        "`learning_rate` must be at least 0. Received: learning_rate=nan."
    )


@pytest.mark.parametrize("name", ["beta_1", "beta_2", "ema_decay"])
def test_a_decay_of_one_is_refused(name):
    assert message(lambda: TrainConfig(**{name: 1.0})) == (
        f"`{name}` must be below 1. Received: {name}=1.0."
    )


def test_a_schedule_longer_than_the_run_is_refused():
    assert message(
        lambda: TrainConfig(steps=10, warmup_steps=4, decay_steps=7)
    ).startswith("`warmup_steps` and `decay_steps` must fit into `steps`.")


@pytest.mark.parametrize("betas", [(0.0, 0.02), (0.02, 1e-4), (1e-4, 1.0)])
def test_betas_must_rise_between_zero_and_one(betas):
    text = message(lambda: DiffusionConfig(1000, *betas))
    assert f"beta_start={betas[0]}, beta_end={betas[1]}" in text


def test_an_empty_dataset_is_refused():
    assert "`dataset` must be a name or a path" in message(lambda: DataConfig(""))


def test_widths_and_shape_follow_from_the_fields():
    unet = UNetConfig(channels=1, base_width=64, width_multipliers=(1, 2, 4))
    assert unet.widths == (64, 128, 256)
    assert unet.image_shape == (32, 32, 1)


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        UNetConfig().dropout = 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_documented_by_a_sentence(kind):
    for field in dataclasses.fields(kind):
        assert field.metadata["doc"].endswith("."), field.name


@pytest.mark.parametrize("kind", KINDS)
def test_to_dict_and_back_gives_an_equal_config(kind):
    assert from_dict(kind, to_dict(kind())) == kind()
