import json

import pytest

from tf_student.runtime import doctor, keras_settings
from tf_student.runtime.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home without settings; returns the path of the file."""
    for name in ("KERAS_BACKEND", "KERAS_HOME", "KERAS_MAX_EPOCHS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    return tmp_path / ".keras/keras.json"


def test_without_settings_all_is_well():
    keras_settings.check()
    assert doctor.settings_of_keras().remedy is None


def test_what_keras_writes_itself_is_accepted(home):
    values = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow"}
    home.write_text(json.dumps({**values, "image_data_format": "channels_last"}))
    keras_settings.check()


@pytest.mark.parametrize("backend", ["jax", "torch", "Tensorflow", "a\nb"])
def test_another_backend_is_refused(monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(InputError) as error:
        keras_settings.check()
    assert str(error.value).startswith(
        "The environment variable KERAS_BACKEND must be tensorflow. Received: "
    )
    assert str(error.value).isprintable()
    finding = doctor.settings_of_keras()
    assert "KERAS_BACKEND" in finding.text and finding.remedy


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('{"backend": "jax"}', "`backend` in "),
        ('{"image_data_format": "channels_first"}', "`image_data_format` in "),
        ('{"floatx": "bfloat16"}', "`floatx` in "),
        ('{"floatx": ["float32"]}', "`floatx` in "),
        ('{"epsilon": 1}', "`epsilon` in "),
        ("[]", "must hold a JSON object"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_wrong_setting_in_the_file_is_refused(home, content, name):
    home.write_text(content)
    with pytest.raises(InputError, match=r"keras\.json") as error:
        keras_settings.check()
    assert name in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_file_that_keras_ignores_is_ignored(home, content):
    home.write_bytes(content)
    keras_settings.check()


def test_the_variable_goes_before_the_file(home, monkeypatch):
    home.write_text('{"backend": "jax"}')
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    keras_settings.check()


def test_keras_home_goes_before_the_users_home(home, monkeypatch, tmp_path):
    home.write_text('{"backend": "jax"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    keras_settings.check()


def test_a_folder_in_place_of_the_file_is_refused(home):
    home.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        keras_settings.check()


def test_a_number_of_epochs_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "many")
    with pytest.raises(InputError, match="KERAS_MAX_EPOCHS must be an integer"):
        keras_settings.check()
