import pytest

from tests.convert.guided_diffusion_test import CONFIG, shapes
from tests.networks import TINY
from tf_student.convert import ddpm, diffusers, families
from tf_student.runtime.errors import InputError


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("first_stage_model.encoder.conv_in.weight", "a latent diffusion model"),
        (
            "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
            "a text-conditional network",
        ),
        ("cond_stage_model.transformer.text_model.weight", "a text-conditional"),
        ("encoder.conv_in.weight", "an autoencoder"),
        ("module.all_modules.0.W", "a score SDE"),
        ("blocks.0.attn.qkv.weight", "a diffusion transformer"),
        ("x_embedder.proj.weight", "a diffusion transformer"),
        ("model.enc.32x32_conv.weight", "a network of EDM"),
        (
            "model.downs.0.0.block1.proj.weight",
            "a network of denoising-diffusion-pytorch",
        ),
    ],
)
def test_other_families_are_recognized(name, family):
    with pytest.raises(InputError) as error:
        families.refuse(["a", name], "a.pt")
    assert str(error.value).startswith(f"a.pt holds {family}")
    assert str(error.value).endswith(f"Received: the tensor {name}.")
    assert "Covered are " in str(error.value)


def test_networks_that_are_covered_pass():
    for table in (ddpm.rows(TINY), diffusers.rows(TINY)):
        families.refuse([name for row in table for name in row.theirs], "a.pt")
    families.refuse(shapes(CONFIG), "a.pt")
