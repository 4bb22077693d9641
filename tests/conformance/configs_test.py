"""What every config promises."""

import dataclasses
import importlib
import inspect
import typing
from pathlib import Path

import pytest

import tf_student
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import from_dict, to_dict

PACKAGE = Path(tf_student.__file__).parent
MODULES = sorted(
    f"tf_student.{path.parent.name}.{path.stem}"
    for path in PACKAGE.glob("*/*_config.py")
)
KINDS = sorted(
    {
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(
            importlib.import_module(module), inspect.isclass
        )
        if dataclasses.is_dataclass(kind) and kind.__module__ == module
    },
    key=lambda kind: kind.__name__,
)


def test_the_configs_are_found():
    names = {kind.__name__ for kind in KINDS}
    assert {"UNetConfig", "TrainConfig", "ClientConfig", "RunConfig"} < names
    assert len(names) == len(KINDS) >= 18


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_documented_by_a_sentence(kind):
    for field in dataclasses.fields(kind):
        assert field.metadata["doc"].endswith("."), field.name


@pytest.mark.parametrize("kind", KINDS)
def test_to_dict_and_back_gives_an_equal_config(kind):
    assert from_dict(kind, to_dict(kind())) == kind()


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_cannot_be_changed(kind):
    config = kind()
    name = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_has_a_common_option(kind):
    # --help would otherwise show none of it.
    assert not all(field.metadata["advanced"] for field in dataclasses.fields(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_integer_has_a_minimum_and_a_maximum(kind):
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if hints[field.name] in (int, tuple[int, ...], tuple[int, ...] | None):
            assert field.metadata["maximum"] is not None, field.name
        if hints[field.name] is int:
            assert field.metadata["minimum"] in (0, 1, 2), field.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_an_int64(kind):
    for field in dataclasses.fields(kind):
        if field.name.endswith("seed"):
            # A client increases its seed by 1 per request.
            largest = 2**63 - 1
            config = dataclasses.replace(kind(), **{field.name: largest})
            assert getattr(config, field.name) == largest
            with pytest.raises(InputError, match="must be at most 9223372036854775807"):
                dataclasses.replace(kind(), **{field.name: 2**63})
