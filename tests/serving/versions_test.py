import dataclasses
import os

import pytest

from tests.serving import portable_models
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, versions

ABOUT = dataclasses.replace(portable_models.ABOUT, name="digits")


@pytest.fixture
def make_models(tmp_path):
    """A folder of versions that look like SavedModels."""

    def make(*names):
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "saved_model.pb").touch()
        return tmp_path

    return make


def _settings(tmp_path, *numbers):
    for number in numbers:
        (tmp_path / str(number)).mkdir()
    versions.write_settings(str(tmp_path), "digits", 100)
    return (tmp_path / "models.config").read_text()


def _without_comments(text):
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


def test_numbers_are_in_order_and_other_names_are_ignored(tmp_path):
    for name in ("2", "10", "1", "3.tmp-0badcafe", "models.config", "-4", "²"):
        (tmp_path / name).mkdir()
    assert versions.numbers(str(tmp_path)) == [1, 2, 10]
    assert versions.numbers(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    "form, last",
    [
        ("saved_model", "saved_model.pb"),
        ("web", "index.html"),
        ("litert", "digits.tflite"),
    ],
)
def test_a_version_without_its_last_file_is_removed(tmp_path, form, last):
    """An export to an object store was killed while it moved the files."""
    base = str(tmp_path)
    folder = tmp_path / versions.folder(".", form)
    for name in ("1", "1.tmp-0123abcd", "2", "2.tmp-0123abcd"):
        (folder / name).mkdir(parents=True)
        (folder / name / "part").touch()
    (folder / "2" / last).touch()
    assert versions.numbers(base, form) == [2]
    versions.remove_leftovers(base)
    assert os.listdir(folder) == ["2"]
    assert os.path.samefile(versions.directory_of(base, 2, form), folder / "2")


def test_newest_version_is_the_highest_number(make_models):
    base = make_models("9", "10")
    assert versions.newest(str(base)) == str(base / "10")


def test_a_version_may_be_named(make_models):
    base = make_models("9", "10")
    assert versions.newest(str(base / "9")) == str(base / "9")


def test_newest_version_has_a_model(make_models):
    base = make_models("3")
    for name in ("11.tmp-0123abcd", "notes", "12"):
        (base / name).mkdir()
    assert versions.newest(str(base)) == str(base / "3")


def test_part_of_a_version_is_ignored_and_removed(make_models):
    """Object stores rename file by file, so a killed export leaves some of them."""
    base = make_models("1", "2")
    for name in ("2.tmp-0123abcd", "3", "3.tmp-0123abcd"):
        (base / name / "variables").mkdir(parents=True)
    (base / "3.tmp-0123abcd" / "saved_model.pb").touch()
    assert versions.numbers(str(base)) == [1, 2]
    versions.remove_leftovers(str(base))
    assert sorted(os.listdir(base)) == ["1", "2"]


@pytest.mark.parametrize("name", ["", "absent"])
def test_no_newest_version_without_a_model(tmp_path, name):
    assert versions.newest(str(tmp_path / name)) is None


def test_explicit_version_is_used(tmp_path):
    base = str(tmp_path / "base")
    assert versions.choose(base, 20261123, "digits") == os.path.join(base, "20261123")


def test_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "base").write_text("")
    with pytest.raises(InputError, match="`export_dir` must be a folder"):
        versions.choose(str(tmp_path / "base"), 0, "digits")


def test_directory_without_metadata_is_refused(tmp_path):
    (tmp_path / "7").mkdir()
    with pytest.raises(InputError, match=r"has no assets.extra/metadata.json, which"):
        versions.choose(str(tmp_path), 0, "digits")


def test_single_version_is_stable(tmp_path):
    text = _settings(tmp_path, 4)
    assert "# The model has one version." in text
    lines = _without_comments(text)
    assert lines.count("versions: 4") == 1 and "canary" not in " ".join(lines)
    assert lines[lines.index('key: "stable"') + 1] == "value: 4"


def test_new_version_is_served_before_it_has_a_label(tmp_path):
    _settings(tmp_path, 4)
    text = _settings(tmp_path, 5)
    assert "one version" not in text
    lines = _without_comments(text)
    assert [line for line in lines if line.startswith("versions")] == [
        "versions: 4",
        "versions: 5",
    ]
    assert lines.count("version_labels {") == 1
    assert lines[lines.index('key: "stable"') + 1] == "value: 4"


def test_labels_of_an_earlier_release_are_kept(tmp_path):
    """0.1 wrote both labels with each export."""
    (tmp_path / "models.config").write_text(_VERSION_0_1)
    lines = _without_comments(_settings(tmp_path, 4, 5, 6))
    assert [line for line in lines if line.startswith("versions")] == [
        "versions: 4",
        "versions: 5",
        "versions: 6",
    ]
    assert lines[lines.index('key: "stable"') + 1] == "value: 4"
    assert lines[lines.index('key: "canary"') + 1] == "value: 5"


_VERSION_0_1 = """\
# For `tensorflow_model_server --model_config_file`; every export overwrites it. Labels
# of versions that are still being loaded need
# --allow_version_labels_for_unavailable_models=true.
model_config_list {
  config {
    name: "digits"
    base_path: "/models/digits"
    model_platform: "tensorflow"
    model_version_policy {
      specific {
        versions: 4
        versions: 5
      }
    }
    version_labels {
      key: "stable"
      value: 4
    }
    version_labels {
      key: "canary"
      value: 5
    }
  }
}
"""


def test_batching_is_written_once(tmp_path):
    _settings(tmp_path, 1)
    path = tmp_path / "batching.config"
    assert "max_batch_size { value: 64 }" in path.read_text()
    path.write_text("mine")
    _settings(tmp_path, 2)
    assert path.read_text() == "mine"


def test_batches_are_at_most_as_large_as_requests(tmp_path):
    versions.write_settings(str(tmp_path), "digits", 16)
    assert "max_batch_size { value: 16 }" in (tmp_path / "batching.config").read_text()


def test_numbers_may_have_zeros_before_them(make_models):
    base = make_models("00000001", "0002", "2", "00000000000000000000007")
    assert versions.numbers(str(base)) == [1, 2]
    assert versions.directory_of(str(base), 1) == str(base / "00000001")
    assert versions.directory_of(str(base), 2) == str(base / "2")
    assert versions.directory_of(str(base), 3) == str(base / "3")
    assert versions.newest(str(base)) == str(base / "2")
    (base / "2" / "saved_model.pb").unlink()
    (base / "2").rmdir()
    assert versions.newest(str(base)) == str(base / "0002")


def test_the_next_version_follows_one_with_zeros(make_models):
    base = make_models("00000007")
    about = dataclasses.replace(ABOUT, name="digits")
    metadata.write(str(base / "00000007"), about)
    # A killed export may have written it, and can be continued.
    assert versions.choose(str(base), 7, "digits") == str(base / "7")
    versions.write_settings(str(base), "digits", 16)
    assert versions.choose(str(base), 0, "digits") == str(base / "8")
    with pytest.raises(InputError, match="`version` must not exist yet"):
        versions.choose(str(base), 7, "digits")


@pytest.mark.parametrize("name", ["exp[1]", "a\\b"])
def test_a_directory_that_is_a_pattern_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="TensorFlow reads as a pattern"):
        versions.choose(str(tmp_path / name), 0, "digits")


def test_only_own_leftovers_are_removed(tmp_path):
    own = ["1.tmp-0123abcd", "models.config.tmp-0123abcd"]
    others = ["mine.tmp-0123abcd", "1.tmp-mine", "models.config", "²"]
    for name in own + others:
        (tmp_path / name).mkdir()
    versions.remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(others)
