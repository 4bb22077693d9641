"""Moves weights between a UNet and a published layout."""

import functools

from tf_student import architecture
from tf_student.config import UNetConfig
from tf_student.convert import rows
from tf_student.convert.sources import Published
from tf_student.unet import UNet


def load(published: Published, config: UNetConfig) -> UNet:
    """A UNet of that config with the published weights.

    Raises:
        InputError: unless every tensor has its place, or if one is not finite.
    """
    variables = architecture.variables(config)
    values = rows.apply(published.rows(config), published.tensors, variables)
    unet = UNet(config)
    ours = {path: variable(unet, path) for path in variables}
    assert {id(v) for v in ours.values()} == {id(v) for v in unet.variables}
    for path, value in values:
        ours[path].assign(value)
    return unet


def unload(unet: UNet, table: list[rows.Row]) -> dict:
    """The tensors of a published layout by name, from a UNet."""
    return rows.revert(table, lambda path: variable(unet, path).numpy())


def variable(unet: UNet, path: str):
    """The Keras variable at a path such as `down.0.1.norm.gamma`."""

    def step(place, name):
        return place[int(name)] if name.isdigit() else getattr(place, name)

    return functools.reduce(step, path.split("."), unet)
