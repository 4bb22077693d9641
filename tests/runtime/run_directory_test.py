import dataclasses
import json

import pytest

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.runtime.version import __version__
from tf_student.training.training_config import TrainConfig

CONFIGS = {"unet": UNetConfig(), "train": TrainConfig(), "run": RunConfig()}


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def claim(directory, command="teacher", network="teacher", **configs) -> RunDirectory:
    configs = {**CONFIGS, **configs}
    return RunDirectory.claim(str(directory), command, configs, network=network)


def edit(directory, change) -> None:
    """Changes the values in a `config.json`."""
    path = directory / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.fixture
def claimed(tmp_path):
    directory = tmp_path / "deep" / "run"
    claim(directory)
    (directory / "weights").write_text("precious")
    return directory


def test_the_directory_stores_the_whole_configuration(claimed):
    values = json.loads((claimed / "config.json").read_text())
    assert list(values) == ["tf_student", "command", "network", "unet", "train", "run"]
    assert values["command"] == "teacher"
    assert values["network"] == "teacher"
    assert values["tf_student"] == __version__
    assert values["unet"]["width_multipliers"] == [1, 2, 2, 2]
    assert values["train"]["learning_rate"] == 2e-4


def test_claim_returns_what_open_returns(tmp_path):
    run = claim(tmp_path, "distill", "student")
    assert RunDirectory.open(str(tmp_path)) == run
    assert (run.path, run.command, run.network) == (
        str(tmp_path),
        "distill",
        "student",
    )


def test_configs_are_read_as_they_were_stored(claimed):
    run = RunDirectory.open(str(claimed))
    assert run.config("unet", UNetConfig) == UNetConfig()
    assert run.config("train", TrainConfig) == TrainConfig()


def test_the_same_configuration_may_continue(claimed, contents):
    before = contents(claimed)
    claim(claimed)
    assert contents(claimed) == before


def test_another_value_is_an_error_that_names_both(claimed, contents):
    before = contents(claimed)
    assert refusal(lambda: claim(claimed, train=TrainConfig(batch_size=64))) == (
        f"{claimed} was started with batch_size=128. Received: batch_size=64. "
        "Use another directory, or the old value to continue."
    )
    assert contents(claimed) == before


def test_another_tuple_is_an_error(claimed):
    text = refusal(lambda: claim(claimed, unet=UNetConfig(width_multipliers=(1, 2))))
    assert "started with width_multipliers=[1, 2, 2, 2]" in text
    assert "Received: width_multipliers=[1, 2]." in text


def test_another_command_is_an_error(claimed, contents):
    before = contents(claimed)
    assert refusal(lambda: claim(claimed, "distill", "student")) == (
        f"{claimed} belongs to another command. Expected: distill, received: teacher."
    )
    assert contents(claimed) == before


def test_a_free_field_may_change_and_is_stored(claimed):
    train = dataclasses.replace(CONFIGS["train"], steps=2000)
    run = RunConfig(xla="off", device_batch=8)
    claim(claimed, train=train, run=run)
    stored = RunDirectory.open(str(claimed))
    assert stored.config("train", TrainConfig).steps == 2000
    assert stored.config("run", RunConfig) == run


@pytest.mark.parametrize(
    "run", [RunConfig(dtype="bfloat16"), RunConfig(deterministic=True)]
)
def test_options_that_change_the_numbers_are_not_free(claimed, run):
    with pytest.raises(InputError):
        claim(claimed, run=run)


def test_a_directory_without_a_run_is_named(tmp_path):
    assert refusal(lambda: RunDirectory.open(str(tmp_path))) == (
        f"{tmp_path} must be a run's directory. Received: a path without config.json."
    )


def test_a_missing_config_is_named(claimed):
    run = RunDirectory.open(str(claimed))
    assert refusal(lambda: run.config("diffusion", DiffusionConfig)) == (
        f"{claimed}/config.json must have `diffusion`. "
        "Received: tf_student, command, network, unet, train, run."
    )


def test_an_option_of_another_version_is_named(claimed):
    edit(claimed, lambda values: values["unet"].update(skips=4))
    run = RunDirectory.open(str(claimed))
    text = refusal(lambda: run.config("unet", UNetConfig))
    assert text.startswith(
        f"{claimed}/config.json: UNetConfig has no option named skips"
    )


def test_a_damaged_configuration_is_an_error_and_remains(claimed, contents):
    (claimed / "config.json").write_text('{"command": "tea')
    before = contents(claimed)
    assert "config.json is not valid JSON" in refusal(lambda: claim(claimed))
    assert contents(claimed) == before


def test_a_configuration_of_another_type_is_an_error(claimed):
    (claimed / "config.json").write_text("[1]")
    assert refusal(lambda: RunDirectory.open(str(claimed))) == (
        f"{claimed}/config.json must hold a JSON object. Received: [1]."
    )


@pytest.mark.parametrize("name", ["command", "network", "station", "tf_student"])
def test_a_name_of_another_type_is_an_error(claimed, name):
    edit(claimed, lambda values: values.update({name: [1]}))
    assert refusal(lambda: RunDirectory.open(str(claimed))) == (
        f"{claimed}/config.json is damaged: `{name}` must be a string."
    )


@pytest.mark.parametrize("value", [None, [], 7, "text"])
def test_options_of_another_type_are_an_error(claimed, value):
    edit(claimed, lambda values: values.update(unet=value))
    text = f"{claimed}/config.json is damaged: `unet` must be an object."
    assert refusal(lambda: RunDirectory.open(str(claimed))) == text
    assert refusal(lambda: claim(claimed)) == text


def test_a_configuration_of_another_program_is_no_run(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    assert refusal(lambda: RunDirectory.open(str(tmp_path))) == (
        f"{tmp_path} must be a run's directory. Received: a config.json of another "
        "program."
    )


def test_a_value_that_no_network_has_names_the_file(claimed):
    edit(claimed, lambda values: values["unet"].update(blocks_per_level=10**9))
    run = RunDirectory.open(str(claimed))
    assert refusal(lambda: run.config("unet", UNetConfig)) == (
        f"{claimed}/config.json: `blocks_per_level` must be at most 64. Received: "
        "blocks_per_level=1000000000."
    )


def test_a_run_from_before_an_option_existed_may_continue(claimed):
    edit(claimed, lambda values: values["train"].pop("clip_norm"))
    claim(claimed)
    assert "clip_norm" in json.loads((claimed / "config.json").read_text())["train"]


def test_only_a_run_of_this_library_exists(claimed, tmp_path):
    assert RunDirectory.exists(str(claimed))
    assert not RunDirectory.exists(str(tmp_path))
    # diffusers also writes a config.json.
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    assert not RunDirectory.exists(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    assert not RunDirectory.exists(str(tmp_path))


# Version 0.1 stored the command as `station`, and did not store the network.


def as_version_0_1(directory, station, **configs) -> None:
    def change(values):
        del values["command"], values["network"]
        values.update(tf_student="0.1.0", station=station, **configs)

    edit(directory, change)


@pytest.mark.parametrize(
    ("station", "configs", "network"),
    [
        ("teacher", {}, "teacher"),
        ("distill", {}, "student"),
        ("convert", {"convert": {"source": "a.h5", "network": "teacher"}}, "teacher"),
        ("convert", {"convert": {"source": "a.h5", "network": "student"}}, "student"),
        ("convert", {"convert": {"source": "a.h5"}}, ""),
    ],
)
def test_a_run_of_version_0_1_opens(claimed, station, configs, network):
    as_version_0_1(claimed, station, **configs)
    assert RunDirectory.exists(str(claimed))
    run = RunDirectory.open(str(claimed))
    assert (run.command, run.network) == (station, network)
    assert run.config("unet", UNetConfig) == UNetConfig()


def test_a_run_of_version_0_1_may_continue(claimed):
    as_version_0_1(claimed, "teacher")
    claim(claimed)
    values = json.loads((claimed / "config.json").read_text())
    assert "station" not in values
    assert (values["command"], values["network"]) == ("teacher", "teacher")
    assert values["tf_student"] == __version__


def test_a_run_of_version_0_1_belongs_to_its_command(claimed, contents):
    as_version_0_1(claimed, "distill")
    before = contents(claimed)
    assert refusal(lambda: claim(claimed)) == (
        f"{claimed} belongs to another command. Expected: teacher, received: distill."
    )
    assert contents(claimed) == before
