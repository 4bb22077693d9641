"""The recipes: their commands accept their flags, and their costs are right."""

import re
from pathlib import Path

import pytest
from tf_student.flags import costs

from tests.flags.commands import fork
from tf_student.presets import systems
from tf_student.runtime.run_config import RunConfig

_FOLDER = Path(__file__).parents[2] / "flags" / "recipes"
_PAPER = ("cifar10", "celeba64", "lsun_bedroom", "lsun_church")


def _commands(text):
    """The commands that a recipe's comments run with its flags."""
    looped = re.search(r"for command in ([a-z -]+); do", text)
    names = re.findall(r"tf-student ([\w-]+) (?:\$f|--flagfile)", text)
    return [*names, *(looped[1].split() if looped else [])]


_CASES = [
    (path.stem, command)
    for path in sorted(_FOLDER.glob("*.flags"))
    for command in _commands(path.read_text())
]


def test_recipes_name_their_commands():
    paper = {"verify-teacher", "teacher", "pairs", "distill", "match"}
    paper |= {"evaluate", "export"}
    expected = {(name, command) for name in _PAPER for command in paper}
    small = {"digits", "digits_classes", "digits_long"}
    assert set(_CASES) == expected | {(name, "demo") for name in small}


@pytest.mark.parametrize(("name", "command"), _CASES)
def test_commands_accept_the_flags(name, command):
    recipe = f"--flagfile={_FOLDER}/{name}.flags"
    finished = fork(command, recipe, "--only_check_args")
    assert (finished.code, finished.err) == (0, "")


@pytest.mark.parametrize("name", sorted({name for name, _ in _CASES}))
def test_a_recipe_selects_its_preset(name):
    assert f"\n--preset={name}\n" in (_FOLDER / f"{name}.flags").read_text()


@pytest.mark.parametrize("name", _PAPER)
def test_costs_are_those_of_a_dry_run(name):
    preset, run = systems.PRESETS[name], RunConfig()
    pairs = costs.pairs(
        preset.unet, preset.diffusion, preset.sampler, preset.pairs, run
    )
    student = costs.training(preset.unet, preset.student, run, preset.log.checkpoints)
    gigabytes = pairs["bytes on disk (at most)"] / 1e9
    size = f"{gigabytes:.0f}" if gigabytes > 100 else f"{gigabytes:.1f}"
    text = (_FOLDER / f"{name}.flags").read_text()
    assert (
        f"#   pairs: {pairs['network calls']:,} network calls and {size} GB\n" in text
    )
    assert (
        f"#   student: {preset.student.steps:,} steps of {preset.student.batch_size} "
        f"images and {student['bytes on disk'] / 1e9:.1f} GB\n"
    ) in text
    matching = costs.matching(
        preset.unet, preset.match, preset.matching, run, preset.log.checkpoints
    )
    assert (
        f"#   matching: {preset.matching.steps:,} steps of "
        f"{preset.matching.batch_size} images, "
        f"{matching['network calls (images, forward)']:,} network calls and "
        f"{matching['bytes on disk'] / 1e9:.1f} GB\n"
    ) in text
    assert (
        f"#   teacher trained from scratch: {preset.teacher.steps:,} steps of "
        f"{preset.teacher.batch_size} images\n"
    ) in text
