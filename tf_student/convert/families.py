"""Networks of other families, recognized by the names of their tensors."""

import itertools
import re
from collections.abc import Iterable

from tf_student.runtime.errors import InputError

COVERED = (
    "Covered are unconditional and class-conditional UNets of images: diffusers' "
    "UNet2DModel, DDPM and DDIM, improved- and guided-diffusion, and the Denoising "
    "Student"
)

# The first pattern that fits a name decides.
_FAMILIES = {
    "a latent diffusion model": r"(?:^|\.)first_stage_model\.",
    "a text-conditional network": (
        r"\.transformer_blocks\.|(?:^|\.)(?:cond_stage_model|encoder_hid_proj"
        r"|add_embedding|text_encoder|controlnet_cond_embedding)\."
    ),
    "an autoencoder (VAE)": (
        r"(?:^|\.)(?:(?:post_)?quant_conv|(?:en|de)coder\.conv_in)\."
    ),
    "a score SDE (NCSN++, DDPM++)": r"(?:^|\.)all_modules\.\d+\.",
    "a diffusion transformer (DiT, U-ViT)": (
        r"(?:^|\.)(?:x_embedder|patch_embed|pos_embed|final_layer\.adaLN_modulation"
        r"|adaln_single|(?:in_|mid_|out_)?blocks\.\d+\.attn)(?:\.|$)"
    ),
    "a network of EDM": r"(?:^|\.)(?:enc|dec)\.\d+x\d+_",
    "a network of denoising-diffusion-pytorch": r"(?:^|\.)(?:init_conv|downs\.0\.0)\.",
}
_PATTERNS = {family: re.compile(pattern) for family, pattern in _FAMILIES.items()}
# More names than that are not needed to recognize a network.
_NAMES = 10_000


def refuse(names: Iterable[str], origin: str) -> None:
    """Raises an `InputError` if tensors are those of a network that is not covered.

    Args:
        names: of the tensors.
        origin: the file, for messages.
    """
    names = list(itertools.islice(names, _NAMES))
    for family, pattern in _PATTERNS.items():
        for name in names:
            if pattern.search(name):
                raise InputError(
                    f"{origin} holds {family}, which is not supported. {COVERED}. "
                    f"Received: the tensor {name}."
                )
