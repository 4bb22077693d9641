"""The model card of a network on the Hugging Face Hub: a README with its origin."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig

# The image that a network's output `y` for noise `z` stands for, by the prediction.
_IMAGES = {
    "epsilon": "z - y",
    "v": "a**0.5 * z - (1 - a) ** 0.5 * y",
    "x_0": "y",
}


@dataclasses.dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        repository: `owner/name`.
        network: `teacher` or `student`.
        unet: the architecture.
        diffusion: the forward process.
        parameters: number of parameters.
        licence: of the weights, by the Hub's name such as `cc-by-4.0`; empty if it is
            not known.
        made_by: the command that made the network, and the version of this library.
        origin: fingerprints of what it was made from, by name.
        options: the configs of the training, by name.
        figures: rows of the measured figures, with a row of names first; may be empty.
    """

    repository: str
    network: str
    unet: UNetConfig
    diffusion: DiffusionConfig
    parameters: int
    licence: str
    made_by: str
    origin: Mapping[str, str]
    options: Mapping[str, Any]
    figures: Sequence[Sequence[str]] = ()


def text(card: Card) -> str:
    """The card as Markdown, below the Hub's metadata.

    Example:

    >>> from tf_student.convert.model_card import Card, text
    >>> card = Card("owner/name", "student", UNetConfig(), DiffusionConfig(), 1, "mit",
    ...             "distill of tf-student 1.0", {}, {})
    >>> text(card).splitlines()[1:3]
    ['library_name: diffusers', 'license: mit']
    """
    parts = [_metadata(card), f"# {card.repository.partition('/')[2]}", _about(card)]
    parts += ["## How it was made", _origin(card)]
    if card.figures:
        parts += ["## Figures", _table(card.figures)]
    parts += ["## Use", _tf_student(card), _litert(card), _diffusers(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(card: Card) -> str:
    lines = ["---", "library_name: diffusers"]
    if card.licence:
        lines.append(f"license: {card.licence}")
    lines += [
        "pipeline_tag: unconditional-image-generation",
        "tags: [tf-student, diffusion, " + f"{card.network}]",
        "---",
    ]
    return "\n".join(lines)


def _about(card: Card) -> str:
    size, channels = card.unet.image_size, card.unet.channels
    kind = {
        "student": "A one-step generator: it draws an image in one network call.",
        "teacher": "A diffusion model.",
    }[card.network]
    classes = f", {card.unet.classes} classes" if card.unet.classes else ""
    licence = card.licence or "not stated"
    return (
        f"{kind} Images of {size} x {size} pixels, {channels} channels{classes}; "
        f"{card.parameters:,} parameters. Licence of the weights: {licence}."
    )


def _origin(card: Card) -> str:
    rows = [["made by", card.made_by], *map(list, card.origin.items())]
    options = json.dumps(card.options, indent=2)
    return f"{_table([['', ''], *rows])}\n\n```json\n{options}\n```"


def _table(rows: Sequence[Sequence[str]]) -> str:
    first, *others = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([first, "| --- " * len(rows[0]) + "|", *others])


def _tf_student(card: Card) -> str:
    use = {
        "student": "student = ts.Student.from_teacher(teacher)\n"
        "images = student.generate(16, seed=7)  # uint8",
        "teacher": "images = teacher.sample(16, seed=7)  # uint8",
    }[card.network]
    return (
        "With TensorFlow (`pip install 'tf-student[hub]'`):\n\n```python\n"
        "import tf_student as ts\n\n"
        f'teacher = ts.Teacher.from_pretrained("hf:{card.repository}")\n{use}\n```'
    )


def _litert(card: Card) -> str:
    """How a student, as made by the code before, becomes a LiteRT file."""
    if card.network != "student":
        return ""
    return (
        "For phones and small computers, as a LiteRT file:\n\n```python\n"
        'config = ts.ExportConfig(name="student", format=("litert",), dtype="int8")\n'
        'ts.export(student, "export", config=config)\n```'
    )


def _diffusers(card: Card) -> str:
    """How diffusers draws images."""
    size, channels = card.unet.image_size, card.unet.channels
    if card.network == "teacher" or card.unet.classes:
        return (
            "With diffusers, `UNet2DModel.from_pretrained` reads the network, and "
            "`scheduler/` has its forward process."
        )
    lines = [
        "import torch",
        "from diffusers import DDPMScheduler, UNet2DModel",
        "",
        f'unet = UNet2DModel.from_pretrained("{card.repository}")',
        f"z = torch.randn(16, {channels}, {size}, {size})",
        "with torch.no_grad():",
        f"    y = unet(z, {card.diffusion.timesteps - 1}).sample",
    ]
    if card.diffusion.prediction == "v":
        lines += [
            f'scheduler = DDPMScheduler.from_pretrained("{card.repository}", '
            'subfolder="scheduler")',
            "a = scheduler.alphas_cumprod[-1]",
        ]
    else:
        lines.remove("from diffusers import DDPMScheduler, UNet2DModel")
        lines.insert(1, "from diffusers import UNet2DModel")
    lines.append(f"images = {_IMAGES[card.diffusion.prediction]}  # in [-1, 1]")
    code = "\n".join(lines)
    return f"With diffusers:\n\n```python\n{code}\n```"
