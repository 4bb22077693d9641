import dataclasses
import json

import pytest

from tf_student.architecture.unet_config import UNetConfig
from tf_student.runtime import run_directory
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.training.training_config import TrainConfig

CONFIGS = {"unet": UNetConfig(), "train": TrainConfig(), "run": RunConfig()}


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def contents(directory) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def claimed(tmp_path):
    directory = tmp_path / "deep" / "run"
    run_directory.claim(str(directory), "teacher", CONFIGS)
    (directory / "weights").write_text("precious")
    return directory


def test_the_directory_remembers_the_whole_configuration(claimed):
    values = json.loads((claimed / "config.json").read_text())
    assert values["station"] == "teacher"
    assert values["tf_student"] == "0.1.0"
    assert values["unet"]["width_multipliers"] == [1, 2, 2, 2]
    assert values["train"]["learning_rate"] == 2e-4


def test_configs_come_back(claimed):
    unet = run_directory.read_config(str(claimed), "unet", UNetConfig)
    assert unet == UNetConfig()


def test_the_same_configuration_may_go_on(claimed):
    before = contents(claimed)
    run_directory.claim(str(claimed), "teacher", CONFIGS)
    assert contents(claimed) == before


def test_another_value_is_refused_and_both_are_named(claimed):
    before = contents(claimed)
    train = TrainConfig(batch_size=64)
    assert refusal(
        lambda: run_directory.claim(
            str(claimed), "teacher", {**CONFIGS, "train": train}
        )
    ) == (
        f"{claimed} was begun with batch_size=128. Received: batch_size=64. "
        "Choose another directory, or the old value to go on."
    )
    assert contents(claimed) == before


def test_another_tuple_is_refused(claimed):
    unet = UNetConfig(width_multipliers=(1, 2))
    text = refusal(
        lambda: run_directory.claim(str(claimed), "teacher", {**CONFIGS, "unet": unet})
    )
    assert "begun with width_multipliers=[1, 2, 2, 2]" in text
    assert "Received: width_multipliers=[1, 2]." in text


def test_another_command_is_refused(claimed):
    before = contents(claimed)
    assert refusal(lambda: run_directory.claim(str(claimed), "distill", CONFIGS)) == (
        f"{claimed} belongs to another command. Expected: distill, received: teacher."
    )
    assert contents(claimed) == before


def test_a_free_field_may_change_and_is_written_anew(claimed):
    train = dataclasses.replace(CONFIGS["train"], steps=2000)
    run = RunConfig(xla="off", device_batch=8)
    run_directory.claim(
        str(claimed), "teacher", {**CONFIGS, "train": train, "run": run}
    )
    assert run_directory.read_config(str(claimed), "train", TrainConfig).steps == 2000
    assert run_directory.read_config(str(claimed), "run", RunConfig) == run


def test_what_changes_the_numbers_is_not_free(claimed):
    for run in (RunConfig(dtype="bfloat16"), RunConfig(deterministic=True)):
        with pytest.raises(InputError):
            run_directory.claim(str(claimed), "teacher", {**CONFIGS, "run": run})


def test_a_directory_without_a_run_is_named(tmp_path):
    assert refusal(
        lambda: run_directory.read_config(str(tmp_path), "unet", UNetConfig)
    ) == (f"{tmp_path} holds no config.json; is it a run's directory?")


def test_a_run_that_has_no_such_config_is_named(claimed):
    assert "says nothing of `sampler`" in refusal(
        lambda: run_directory.read_config(str(claimed), "sampler", TrainConfig)
    )


def test_a_damaged_configuration_is_refused_and_stays(claimed):
    (claimed / "config.json").write_text('{"station": "tea')
    before = contents(claimed)
    text = refusal(lambda: run_directory.claim(str(claimed), "teacher", CONFIGS))
    assert "config.json is not valid JSON" in text
    assert contents(claimed) == before


def test_a_run_from_before_an_option_existed_may_go_on(claimed):
    values = json.loads((claimed / "config.json").read_text())
    del values["train"]["clip_norm"]
    (claimed / "config.json").write_text(json.dumps(values))
    run_directory.claim(str(claimed), "teacher", CONFIGS)
    assert "clip_norm" in json.loads((claimed / "config.json").read_text())["train"]
