"""What every config promises."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest

import tf_student
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
