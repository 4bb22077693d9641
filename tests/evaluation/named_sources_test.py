import numpy as np
import pytest

from tf_student.data import datasets
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import named_sources
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig


def _open(name, option="source", **options):
    opener = named_sources.Opener(
        devices.make_strategy(["CPU:0"]),
        SamplerConfig("uniform", 3),
        RunConfig(device_batch=4),
    )
    return opener.open(str(name), option=option, **options)


def test_a_run_directory_is_its_network(demo_run):
    teacher, student = _open(demo_run.teacher), _open(demo_run.student)
    assert (teacher.name, teacher.calls) == (demo_run.teacher, 3)
    assert (student.name, student.calls) == (demo_run.student, 1)
    assert teacher.shape == student.shape == (8, 8, 1)


def test_an_export_directory_is_its_newest_version(demo_run):
    assert _open(demo_run / "export").name == demo_run / "export/1"


def test_an_array_is_chosen_by_name(tmp_path):
    digits = datasets.digits()[0]
    path = tmp_path / "images.npz"
    np.savez(path, first=digits[:5], second=digits[5:12])
    source = _open(f"{path}:second")
    assert source.count == 7
    np.testing.assert_array_equal(next(source.read(0, 7)), digits[5:12])


def test_a_named_array_wins_over_statistics_beside_it(tmp_path):
    digits, path = datasets.digits()[0], tmp_path / "images.npz"
    np.savez(path, digits[:5], mu=np.zeros(2), sigma=np.eye(2))
    assert _open(path).statistics.dimensions == 2
    source = _open(f"{path}:arr_0")
    assert source.statistics is None
    np.testing.assert_array_equal(next(source.read(0, 5)), digits[:5])
    with pytest.raises(InputError, match=r"`split` must be an array of .*: arr_0"):
        _open(f"{path}:arr_1")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cifar10", ("cifar10", "")),
        ("cifar10:test", ("cifar10", "test")),
        ("cifar10:train[:50%]", ("cifar10", "train[:50%]")),
        ("cifar10:train[10:20]+test[:5%]", ("cifar10", "train[10:20]+test[:5%]")),
        ("/data/mine/1.0.0:all", ("/data/mine/1.0.0", "all")),
        ("runs/a[1:2]/images", ("runs/a[1:2]/images", "")),
        ("gs://bucket/images", ("gs://bucket/images", "")),
    ],
)
def test_the_split_follows_the_last_colon_outside_brackets(name, parts):
    assert named_sources._split_name(name) == parts


def test_digits_and_folders_have_no_splits(tmp_path):
    for name in ("digits", tmp_path):
        with pytest.raises(InputError, match="`source` must have no split, because"):
            _open(f"{name}:test")


def test_a_file_of_another_kind_is_an_error(tmp_path):
    np.save(tmp_path / "images.npy", datasets.digits()[0][:5])
    with pytest.raises(InputError, match=r"`source` must be a folder or an \.npz file"):
        _open(tmp_path / "images.npy")


def test_a_path_may_contain_a_colon(tmp_path):
    path = tmp_path / "images:all.npz"
    np.savez(path, datasets.digits()[0][:5])
    assert _open(path).count == 5


def test_statistics_are_distinguished_from_images(tmp_path):
    np.savez(tmp_path / "a.npz", mu=np.zeros(2), sigma=np.eye(2))
    source = _open(tmp_path / "a.npz")
    assert source.shape is None and source.statistics.dimensions == 2


@pytest.mark.parametrize("option", ["source", "against"])
def test_a_missing_path_names_its_option(option):
    message = f"`{option}` must exist. Received: {option}=/nowhere/at/all"
    with pytest.raises(InputError, match=message):
        _open("/nowhere/at/all", option)


def test_the_samples_of_several_networks_are_not_one_set(demo_run):
    with pytest.raises(InputError, match=r"one network.* of matched, student, "):
        _open(demo_run / "samples")
    assert _open(demo_run / "samples/student").count > 1
