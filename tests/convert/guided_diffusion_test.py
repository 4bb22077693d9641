"""What files of guided-diffusion do not show, and what users say of it."""

import dataclasses
import json

import numpy as np
import pytest

from tests.convert import torch_writer
from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import guided_diffusion, sources
from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

CONFIG = UNetConfig(
    image_size=16,
    base_width=32,
    width_multipliers=(1, 2),
    blocks_per_level=1,
    attention_resolutions=(8,),
    norm_epsilon=1e-5,
    dropout=0.0,
    heads=2,
    cosine_first=True,
    frequency_shift=0.0,
    symmetric_padding=True,
    scale_shift=True,
    residual_down_resolutions=(16,),
    residual_up_resolutions=(8,),
)


def shapes(config):
    """Their tensors' shapes: the last axis of ours is their first."""
    variables = plan.variables(config)
    return {
        row.theirs[0]: variables[row.ours][::-1]
        if len(variables[row.ours]) != 4
        else tuple(variables[row.ours][i] for i in (3, 2, 0, 1))
        for row in guided_diffusion.rows(config, new_attention_order=True)
    }


@pytest.fixture
def write(tmp_path):
    """Writes a state dict and, if there are any, the arguments beside it."""

    def run(arguments=None, config=CONFIG):
        arrays = {k: np.zeros(v, np.float32) for k, v in shapes(config).items()}
        opcodes = torch_writer.state_dict(arrays)
        path = tmp_path / "model.pt"
        torch_writer.write_archive(path, opcodes, list(arrays.values()))
        if arguments is not None:
            (tmp_path / "options.json").write_text(json.dumps(arguments))
        return str(path)

    return run


def test_names_and_shapes_imply_the_rest(write):
    published = sources.open_source(write({"image_size": 16, "num_heads": 2}))
    assert published.config == CONFIG
    assert published.diffusion == DiffusionConfig()


def test_flags_take_the_place_of_a_file(write):
    published = sources.open_source(write(), image_size=16, heads=2)
    assert published.config == CONFIG


def test_betas_depend_on_the_steps_whoever_says_so(write):
    told = sources.open_source(
        write({"image_size": 16, "num_heads": 2, "diffusion_steps": 4000})
    )
    flagged = sources.open_source(write(), timesteps=4000)
    assert told.diffusion == flagged.diffusion
    assert told.diffusion == DiffusionConfig(4000, 2.5e-5, 0.005)


def test_rescaled_steps_are_those_with_an_integer_number(write):
    arguments = {"image_size": 16, "num_heads": 2, "noise_schedule": "cosine"}
    arguments |= {"diffusion_steps": 4000, "rescale_timesteps": True}
    diffusion = sources.open_source(write(arguments)).diffusion
    whole = schedules.alpha_bars(DiffusionConfig(4000, schedule="cosine"))
    assert diffusion.timesteps == 1000
    np.testing.assert_allclose(schedules.alpha_bars(diffusion), whole[::4], rtol=1e-6)


def test_a_network_that_predicts_the_image(write):
    arguments = {"image_size": 16, "num_heads": 2, "predict_xstart": True}
    assert sources.open_source(write(arguments)).diffusion.prediction == "x_0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "must hold a JSON object"),
        ({"image_size": "16"}, "`image_size` must be an integer or null"),
        ({"num_heads": [2]}, "`num_heads` must be an integer or null"),
        ({"dropout": float("nan")}, "`dropout` must be at least 0"),
        ({"diffusion_steps": 10**9}, "`diffusion_steps` must be at most 1000000"),
        ({"num_heads": 0}, "`num_heads` must be at least 1"),
        ({"dropout": "0"}, "`dropout` must be a number"),
        ({"diffusion_steps": 0}, "`diffusion_steps` must be at least 1"),
        ({"noise_schedule": 1}, "`noise_schedule` must be a string"),
        ({"num_heads": 2, "num_heads_upsample": 4}, "must be num_heads"),
        ({"noise_schedule": "odd"}, "must be one of: linear, cosine"),
        (
            {"rescale_timesteps": True, "diffusion_steps": 1500, "num_heads": 2},
            "needs a multiple of 1000 steps",
        ),
        ({"num_heads": 2, "image_size": None}, "does not state image_size"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(write, arguments, message):
    if isinstance(arguments, dict):
        arguments = {"image_size": 16, **arguments}
    with pytest.raises(InputError) as error:
        sources.open_source(write(arguments))
    assert message in str(error.value)


def test_super_resolution_is_refused(write):
    path = write(
        {"image_size": 16, "num_heads": 2}, dataclasses.replace(CONFIG, channels=6)
    )
    with pytest.raises(InputError, match="6 channels in, 6 out"):
        sources.open_source(path)
