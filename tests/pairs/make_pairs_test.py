import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

from tests.networks import randomise
from tests.tiny_run import RUN, TINY
from tf_student.data import images
from tf_student.diffusion import noise, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.diffusion.samplers import ddim_sample
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.pairs import make_pairs as commands
from tf_student.pairs import manifests
from tf_student.pairs.pairs_config import EngineConfig, PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError

OPTIONS = {"config": TINY.pairs, "sampler": TINY.sampler, "run": RUN}
SHARD = "pairs-train.tfrecord-00001-of-00002"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A teacher and its pairs."""

    teacher_directory: str
    teacher: Teacher
    directory: str


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    Teacher(randomise(UNet(TINY.unet))).save(str(folder / "teacher"))
    teacher = Teacher.load(str(folder / "teacher"))
    commands.make_pairs(teacher, str(folder / "pairs"), **OPTIONS)
    return Stored(str(folder / "teacher"), teacher, str(folder / "pairs"))


@pytest.fixture
def teacher(stored):
    return stored.teacher


def test_manifest_names_the_teacher(stored, teacher):
    manifest = manifests.read(stored.directory)
    assert manifest.teacher == teacher.fingerprint
    assert manifest.complete


def test_images_are_those_of_the_teacher(stored, teacher):
    z = noise.normal(0, np.arange(60), (8, 8, 1))
    expected = ddim_sample(
        lambda x, t: teacher.unet(x, t),
        z,
        timesteps=np.array([666, 333, 0]),
        alpha_bars=schedules.alpha_bars(DiffusionConfig()),
    )
    made = np.stack(list(PairSet(stored.directory).images().as_numpy_iterator()))
    # Another batch size may round a pixel that lies between two values differently.
    difference = np.abs(made.astype(int) - images.to_uint8(expected).numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_finished_set_is_not_changed(stored, contents):
    before = contents(stored.directory)
    pairs = commands.make_pairs(stored.teacher_directory, stored.directory, **OPTIONS)
    assert contents(stored.directory) == before
    assert isinstance(pairs, PairSet) and pairs.directory == stored.directory


def test_a_worker_regenerates_its_own_shards_only(stored, tmp_path, contents):
    shutil.copytree(stored.directory, tmp_path / "pairs")
    names = [s.name for s in manifests.read(stored.directory).shards][:2]
    files = [tmp_path / "pairs" / name for name in names]
    for path in files:
        path.write_bytes(path.read_bytes()[::-1])
    damaged = [path.read_bytes() for path in files]
    for index, left in ((1, [True, False]), (0, [False, False])):
        engine = EngineConfig(worker_index=index, num_workers=2)
        options = {**OPTIONS, "engine": engine, "remake": names}
        commands.make_pairs(stored.teacher, str(tmp_path / "pairs"), **options)
        assert [path.read_bytes() in damaged for path in files] == left
    assert contents(tmp_path / "pairs") == contents(stored.directory)


def test_teacher_may_be_an_object(stored, teacher, contents):
    before = contents(stored.directory)
    commands.make_pairs(teacher, stored.directory, **OPTIONS)
    assert contents(stored.directory) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": SamplerConfig("uniform", 4)}, "calls=3, received: 4"),
        (
            {"config": dataclasses.replace(TINY.pairs, pairs=61)},
            "pairs=60, received: 61",
        ),
        ({"count": 61}, "pairs=60, received: 61"),
    ],
)
def test_other_settings_are_an_error(stored, contents, change, message):
    before = contents(stored.directory)
    with pytest.raises(InputError, match=message):
        commands.make_pairs(
            stored.teacher_directory, stored.directory, **{**OPTIONS, **change}
        )
    assert contents(stored.directory) == before


def test_missing_teacher_is_named(tmp_path):
    with pytest.raises(InputError, match=r"teacher must be a run's directory"):
        commands.make_pairs(
            str(tmp_path / "teacher"), str(tmp_path / "pairs"), **OPTIONS
        )
    assert list(tmp_path.iterdir()) == []


def test_a_worker_returns_none_until_all_have_finished(
    stored, teacher, contents, tmp_path
):
    directory = str(tmp_path / "pairs")
    engines = [EngineConfig(worker_index=i, num_workers=2) for i in range(2)]
    assert commands.make_pairs(teacher, directory, engine=engines[0], **OPTIONS) is None
    pairs = commands.make_pairs(teacher, directory, engine=engines[1], **OPTIONS)
    assert pairs.manifest.complete
    assert contents(directory) == contents(stored.directory)


def test_count_replaces_the_number_of_training_pairs(teacher, tmp_path):
    config = PairsConfig(pairs=60, held_out_pairs=2, shard_pairs=4)
    pairs = commands.make_pairs(
        teacher, str(tmp_path), count=5, **{**OPTIONS, "config": config}
    )
    assert pairs.manifest.pairs == dataclasses.replace(config, pairs=5)


@pytest.fixture
def damaged_pairs(stored, tmp_path):
    return shutil.copytree(stored.directory, tmp_path / "damaged")


def test_remake_replaces_a_damaged_shard(stored, teacher, contents, damaged_pairs):
    path = damaged_pairs / SHARD
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    findings = commands.check_pairs(teacher, str(damaged_pairs), images=4, run=RUN)
    assert (findings.missing, findings.damaged) == ((), (SHARD,))
    assert path.read_bytes() == data
    commands.make_pairs(teacher, str(damaged_pairs), remake=findings.damaged, **OPTIONS)
    assert contents(damaged_pairs) == contents(stored.directory)


def test_a_complete_set_agrees_with_its_teacher(stored):
    """The manifest has the batch of the devices, whatever `run` says."""
    findings = commands.check_pairs(
        stored.teacher_directory, stored.directory, images=4
    )
    assert findings.to_generate == []
    assert (findings.compared, findings.differing) == (4, 0.0)


@pytest.fixture
def another_teacher():
    return Teacher(randomise(UNet(TINY.unet), seed=1))


def test_a_check_with_another_teacher_is_an_error(stored, another_teacher):
    with pytest.raises(InputError, match="was made by another teacher"):
        commands.check_pairs(another_teacher, stored.directory)


def test_a_check_without_pairs_is_an_error(stored, tmp_path):
    with pytest.raises(InputError, match=r"holds no manifest.json"):
        commands.check_pairs(stored.teacher_directory, str(tmp_path))


def test_online_pairs_are_those_of_the_stored_set(stored, teacher):
    online = commands.online_pairs(teacher, **OPTIONS)
    assert (
        manifests.differences(online.manifest, manifests.read(stored.directory)) == ""
    )
    sets = online, PairSet(stored.directory)
    both = [pairs.train(seed=0, start=0).take(32) for pairs in sets]
    for (z, image), (stored_z, stored_image) in zip(*both, strict=True):
        np.testing.assert_array_equal(z, stored_z)
        assert np.abs(image.numpy().astype(int) - stored_image).max() <= 1
    online.close()


def _tf_config(monkeypatch, count):
    addresses = [f"127.0.0.1:{1000 + i}" for i in range(count)]
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_several_workers_need_stored_pairs(stored, monkeypatch):
    _tf_config(monkeypatch, 2)
    with pytest.raises(InputError, match=r"`online` must be off .* workers=2"):
        commands.online_pairs(stored.teacher_directory, **OPTIONS)


def test_one_worker_may_generate_on_demand(teacher, monkeypatch):
    _tf_config(monkeypatch, 1)
    commands.online_pairs(teacher, **OPTIONS).close()


def test_beam_needs_a_directory(teacher, tmp_path):
    with pytest.raises(InputError, match=r"engine=beam.*Received: Teacher"):
        commands.make_pairs(
            teacher, str(tmp_path / "pairs"), engine=EngineConfig("beam"), **OPTIONS
        )
    assert not (tmp_path / "pairs").exists()


def test_beam_must_be_installed(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_student.pairs.beam", None)
    monkeypatch.delattr("tf_student.pairs.beam", raising=False)
    with pytest.raises(InputError, match=r"is not installed.*engine=beam"):
        commands.make_pairs(
            stored.teacher_directory,
            str(tmp_path / "pairs"),
            engine=EngineConfig("beam"),
            **OPTIONS,
        )


def test_beam_writes_the_bytes_of_this_process(stored, contents, tmp_path):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    pairs = commands.make_pairs(
        stored.teacher_directory, str(tmp_path), engine=EngineConfig("beam"), **OPTIONS
    )
    assert pairs.manifest.complete
    assert contents(tmp_path) == contents(stored.directory)


@pytest.fixture
def arrays(tmp_path):
    """Four training pairs and two held-out pairs of the teacher's shape."""
    folder = tmp_path / "arrays"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train_0", 4), ("test", 2)):
        z = rng.normal(size=(count, 8, 8, 1)).astype(np.float16)
        np.save(folder / f"x_{name}.npy", z)
        pixels = rng.integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)
        np.save(folder / f"y_{name}.npy", pixels)
    return folder


def test_imported_pairs_have_the_counts_of_the_source(teacher, arrays, tmp_path):
    directory = str(tmp_path / "pairs")
    pairs = commands.import_pairs(teacher, str(arrays), directory, **OPTIONS)
    manifest = pairs.manifest
    assert (manifest.pairs.pairs, manifest.pairs.held_out_pairs) == (4, 2)
    assert manifest.imported and manifest.pairs.store_noise
    assert manifest.teacher == teacher.fingerprint
    assert manifest.sampler == TINY.sampler
    made = np.stack(list(pairs.images().as_numpy_iterator()))
    np.testing.assert_array_equal(made, np.load(arrays / "y_train_0.npy"))


def test_images_of_another_shape_are_not_imported(teacher, arrays, tmp_path):
    for path in arrays.iterdir():
        np.save(path, np.load(path)[:, :4])
    with pytest.raises(InputError, match=r"Expected: \(8, 8, 1\), received: \(4, 8, 1"):
        commands.import_pairs(teacher, str(arrays), str(tmp_path / "pairs"))
    assert not (tmp_path / "pairs").exists()


def test_a_missing_source_is_named(teacher, tmp_path):
    with pytest.raises(InputError, match="`source` must be a folder"):
        commands.import_pairs(teacher, str(tmp_path / "none"), str(tmp_path / "pairs"))


@pytest.mark.parametrize(
    ("config", "count", "pairs", "held_out"),
    [
        (None, None, 1_024_000, 10_240),
        (None, 2_000, 2_000, 100),
        (None, 3, 3, 1),
        (None, 1_000_000, 1_000_000, 10_240),
        (PairsConfig(held_out_pairs=7), 2_000, 2_000, 7),
    ],
)
def test_a_count_takes_the_place_of_the_configs(config, count, pairs, held_out):
    counted = commands._with_count(config, count)
    assert (counted.pairs, counted.held_out_pairs) == (pairs, held_out)
