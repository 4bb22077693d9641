import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tests.tolerances import assert_close
from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.diffusion.losses import distillation_loss
from tf_student.models.student import Origin, Student, as_student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import to_dict
from tf_student.runtime.run_config import RunConfig

Z = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
DIFFUSION = DiffusionConfig(timesteps=10, beta_end=0.012)
ORIGIN = Origin(teacher="a" * 64, pairs="b" * 64)
RUN = RunConfig(device_batch=4)


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


@pytest.fixture
def student(unet):
    return Student(unet, DIFFUSION, origin=ORIGIN)


@pytest.mark.parametrize("timesteps", [1000, 10])
def test_it_takes_the_noise_of_the_last_step_away(unet, timesteps):
    t = np.full(3, timesteps - 1, np.int32)
    student = Student(unet, DiffusionConfig(timesteps=timesteps))
    assert_close(student(Z), Z - unet(Z, t))


def test_the_last_step_is_999_by_default(unet):
    assert Student(unet).diffusion.timesteps == 1000


def test_its_weights_are_those_of_its_network(unet):
    assert [id(w) for w in Student(unet).weights] == [id(w) for w in unet.weights]


def test_a_new_student_gives_the_noise_back():
    assert np.array_equal(Student(UNet(TINY))(Z), Z)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_noise_is_not_rounded_to_the_compute_type(policy):
    # A new network predicts nothing, so the output is the noise.
    student = Student(UNet(TINY, dtype=policy), dtype=policy)
    assert np.array_equal(student(Z), Z)


# Configs and files of Keras.


def test_get_config_describes_an_equal_student(student):
    copy = Student.from_config(student.get_config())
    assert (copy.unet.config, copy.diffusion) == (TINY, DIFFUSION)
    assert copy.origin == ORIGIN
    assert copy.get_config() == student.get_config()


def test_the_serialised_form_of_version_0_1_is_read(student):
    config = student.get_config()
    del config["diffusion"], config["origin"]
    old = Student.from_config(config | {"timesteps": 10})
    assert old.diffusion == DiffusionConfig(timesteps=10)
    assert old.origin == Origin()
    assert old.unet.config == TINY


def test_a_keras_file_gives_an_equal_student(student, tmp_path):
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert isinstance(loaded, Student)
    assert (loaded.diffusion, loaded.origin) == (DIFFUSION, ORIGIN)
    assert loaded.unet.config == TINY
    assert np.array_equal(loaded(Z), student(Z))
    assert [path.name for path in tmp_path.iterdir()] == ["student.keras"]


LOAD = """
import sys
import numpy as np
loaded = keras.models.load_model(sys.argv[1])
assert type(loaded) is tf_student.Student, type(loaded)
assert loaded.origin.teacher == "a" * 64
np.save(sys.argv[3], loaded(np.load(sys.argv[2])))
"""


@pytest.mark.parametrize(
    "imports", ["import tf_student, keras", "import keras, tf_student"]
)
def test_a_fresh_process_needs_only_the_import_to_load_it(student, tmp_path, imports):
    student.save(tmp_path / "student.keras")
    np.save(tmp_path / "z.npy", Z)
    paths = [str(tmp_path / name) for name in ("student.keras", "z.npy", "images.npy")]
    command = [sys.executable, "-c", imports + LOAD, *paths]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert_close(np.load(paths[2]), student(Z))


# Training with Keras.


def test_fit_trains_it():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 8, 8, 3)).astype(np.float32)
    pairs = tf.data.Dataset.from_tensor_slices((z, np.tanh(z))).batch(4)
    student = Student(randomise(UNet(TINY)))
    before = [weight.copy() for weight in student.get_weights()]
    student.compile(keras.optimizers.Adam(1e-3), "mean_absolute_error")
    history = student.fit(pairs, epochs=4, validation_data=pairs, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert len(history["val_loss"]) == 4
    assert all(
        not np.array_equal(old, new)
        for old, new in zip(before, student.get_weights(), strict=True)
    )


def test_a_compiled_student_is_saved_with_its_optimizer(tmp_path):
    student = Student(UNet(TINY))
    # XLA's compiler would take most of the test's time.
    adam = keras.optimizers.Adam(1e-3)
    student.compile(adam, "mean_squared_error", jit_compile=False)
    student.fit(Z, np.tanh(Z), verbose=0)
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    assert loaded.optimizer.iterations == 1
    expected, actual = (
        model.fit(Z, np.tanh(Z), verbose=0).history["loss"]
        for model in (student, loaded)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


# Directories of runs.


@pytest.fixture
def directory(student, tmp_path):
    student.save(str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_student_comes_back(student, directory):
    loaded = Student.load(str(directory))
    assert (loaded.unet.config, loaded.diffusion) == (TINY, DIFFUSION)
    assert loaded.origin == ORIGIN
    assert np.array_equal(loaded(Z), student(Z))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_student_may_compute_in_another_type(directory, dtype):
    loaded = Student.load(str(directory), dtype=dtype)
    assert loaded.compute_dtype == loaded.unet.stem.compute_dtype == dtype
    assert {weight.dtype for weight in loaded.weights} == {"float32"}


def test_a_run_says_what_it_is(directory):
    values = json.loads((directory / "config.json").read_text())
    assert (values["command"], values["network"]) == ("save", "student")
    assert values["origin"] == to_dict(ORIGIN)


def test_a_run_without_an_origin_is_loaded(directory):
    values = json.loads((directory / "config.json").read_text())
    del values["origin"]
    (directory / "config.json").write_text(json.dumps(values))
    assert Student.load(str(directory)).origin == Origin()


def test_the_directory_of_a_teacher_is_neither_loaded_nor_replaced(student, tmp_path):
    Teacher(student.unet, DIFFUSION).save(str(tmp_path / "run"))
    before = (tmp_path / "run" / "model.keras").read_bytes()
    with pytest.raises(InputError, match=r"must have a student. Received: a teacher\."):
        Student.load(str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"has a teacher. Received: a student\."):
        student.save(str(tmp_path / "run"))
    assert (tmp_path / "run" / "model.keras").read_bytes() == before


def test_a_student_or_its_directory(student, directory):
    assert as_student(student) is student
    assert np.array_equal(as_student(str(directory))(Z), student(Z))


# Images.


def test_generate_starts_from_the_noise_of_the_seed(student):
    z = noise.normal(7, noise.EVALUATION + np.arange(3), student.image_shape)
    expected = images.to_uint8(student(z)).numpy().astype(int)
    generated = student.generate(3, seed=7, run=RUN)
    assert (generated.shape, generated.dtype) == ((3, 8, 8, 3), np.uint8)
    assert np.abs(generated - expected).max() <= 1


def test_generate_gives_the_images_of_the_generator(student, strategy):
    generator = student.generator(strategy, RUN)
    expected = generator.from_seed(7, noise.EVALUATION, 6)
    assert np.array_equal(student.generate(6, seed=7, run=RUN), expected)


def test_two_devices_generate_the_images_of_one(student, monkeypatch):
    expected = student.generate(7, run=RUN)
    two = devices.make_strategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(devices, "make_strategy", lambda: two)
    assert np.array_equal(student.generate(7, run=RUN), expected)


def test_generate_in_bfloat16_gives_images_close_to_those_in_float32(student):
    exact = student.generate(4, run=RUN).astype(int)
    half = student.generate(4, run=RunConfig(dtype="bfloat16"))
    assert student.compute_dtype == "float32"
    difference = np.abs(half - exact)
    assert 0 < difference.max() and difference.mean() < 4


def test_a_student_generates_in_its_own_dtype(student):
    half = Student(student.unet.copy(dtype="mixed_bfloat16"), student.diffusion)
    in_half = student.generate(4, run=RunConfig(dtype="bfloat16"))
    assert np.array_equal(half.generate(4), in_half)
    assert not np.array_equal(student.generate(4), in_half)


def test_a_loss_that_keras_cannot_serialize_leaves_no_directory(student, tmp_path):
    student.compile(loss=functools.partial(distillation_loss, distance="l1"))
    with pytest.raises(TypeError, match="Cannot serialize"):
        student.save(str(tmp_path / "student"))
    assert not (tmp_path / "student").exists()


def test_no_images_and_fewer(student):
    assert student.generate(0).shape == (0, 8, 8, 3)
    with pytest.raises(InputError, match="must be at least 0"):
        student.generate(-1)


def test_a_student_starts_from_a_copy_of_a_teacher(unet):
    teacher = Teacher(unet, DIFFUSION)
    student = Student.from_teacher(teacher)
    assert (student.diffusion, student.origin) == (DIFFUSION, Origin())
    assert student.unet.fingerprint() == teacher.fingerprint
    assert not {id(w) for w in student.weights} & {id(w) for w in unet.weights}
