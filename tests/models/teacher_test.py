import json

import numpy as np
import pytest
import tensorflow as tf

from tests.convert import ddpm_network, torch_writer
from tests.convert import denoising_student_model as original
from tests.networks import TINY, randomise
from tests.tolerances import assert_close
from tf_student.diffusion import noise, samplers
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

Z = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
T = np.array([3, 9], np.int32)
DIFFUSION = DiffusionConfig(timesteps=10)
SAMPLER = SamplerConfig(calls=3)
RUN = RunConfig(device_batch=4)


@pytest.fixture(scope="module")
def teacher():
    return Teacher(randomise(UNet(TINY)), DIFFUSION)


@pytest.fixture(scope="module")
def directory(teacher, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("teacher") / "run")
    teacher.save(path)
    return path


def test_a_teacher_comes_back(teacher, directory):
    loaded = Teacher.load(directory)
    assert (loaded.unet.config, loaded.diffusion) == (TINY, DIFFUSION)
    assert np.array_equal(loaded.unet(Z, T), teacher.unet(Z, T))
    assert loaded.fingerprint == teacher.fingerprint == teacher.unet.fingerprint()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_teacher_may_compute_in_another_type(directory, dtype):
    loaded = Teacher.load(directory, dtype=dtype).unet
    assert loaded.compute_dtype == dtype
    assert loaded.stem.compute_dtype == dtype
    assert {weight.dtype for weight in loaded.weights} == {"float32"}


def test_a_run_says_what_it_is(directory):
    with open(f"{directory}/config.json") as file:
        values = json.load(file)
    assert (values["command"], values["network"]) == ("save", "teacher")


def test_a_directory_without_a_run_is_named(tmp_path):
    with pytest.raises(InputError, match="must be a run's directory") as error:
        Teacher.load(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_a_run_of_version_0_1_is_loaded(teacher, directory, tmp_path):
    with open(f"{directory}/config.json") as file:
        values = json.load(file)
    old = {"station": "teacher"} | {k: values[k] for k in ("tf_student", "unet")}
    old["diffusion"] = values["diffusion"]
    (tmp_path / "config.json").write_text(json.dumps(old))
    model = tf.io.gfile.GFile(f"{directory}/model.keras", "rb").read()
    (tmp_path / "model.keras").write_bytes(model)
    assert Teacher.load(str(tmp_path)).fingerprint == teacher.fingerprint


def test_the_directory_of_a_student_is_neither_loaded_nor_replaced(teacher, tmp_path):
    Student(teacher.unet, DIFFUSION).save(str(tmp_path / "run"))
    before = (tmp_path / "run" / "model.keras").read_bytes()
    with pytest.raises(InputError, match=r"must have a teacher. Received: a student\."):
        Teacher.load(str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"has a student. Received: a teacher\."):
        teacher.save(str(tmp_path / "run"))
    assert (tmp_path / "run" / "model.keras").read_bytes() == before


def test_saving_again_replaces_the_weights(teacher, tmp_path):
    teacher.save(str(tmp_path))
    other = Teacher(randomise(UNet(TINY), seed=1), DIFFUSION)
    other.save(str(tmp_path))
    assert Teacher.load(str(tmp_path)).fingerprint == other.fingerprint


def test_a_teacher_or_its_directory(teacher, directory):
    assert as_teacher(teacher) is teacher
    assert as_teacher(directory).fingerprint == teacher.fingerprint


def test_the_sampler_is_that_of_the_network(teacher):
    sample = samplers.make_sampler(teacher.unet, DIFFUSION, SAMPLER)
    images = teacher.sampler(SAMPLER)(tf.constant(Z))
    assert images.dtype == tf.float32
    assert np.array_equal(images, sample(tf.constant(Z)))


def test_sample_starts_from_the_noise_of_the_seed(teacher):
    images = teacher.sample(3, seed=7, sampler=SAMPLER, run=RUN)
    assert (images.shape, images.dtype) == ((3, 8, 8, 3), np.uint8)
    z = noise.normal(7, noise.EVALUATION + np.arange(3), teacher.image_shape)
    floats = teacher.sampler(SAMPLER)(z).numpy()
    expected = np.round(np.clip((floats + 1) * 127.5, 0, 255))
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_sample_gives_the_images_of_the_generator(teacher, strategy):
    generator = teacher.generator(strategy, SAMPLER, RUN)
    expected = generator.from_seed(7, noise.EVALUATION, 6)
    actual = teacher.sample(6, seed=7, sampler=SAMPLER, run=RUN)
    assert np.array_equal(actual, expected)


def test_two_devices_sample_the_images_of_one(teacher, monkeypatch):
    expected = teacher.sample(7, sampler=SAMPLER, run=RUN)
    two = devices.make_strategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(devices, "make_strategy", lambda: two)
    assert np.array_equal(teacher.sample(7, sampler=SAMPLER, run=RUN), expected)


def test_sample_in_bfloat16_gives_images_close_to_those_in_float32(teacher):
    exact = teacher.sample(4, sampler=SAMPLER, run=RUN).astype(int)
    half = teacher.sample(4, sampler=SAMPLER, run=RunConfig(dtype="bfloat16"))
    assert teacher.unet.compute_dtype == "float32"
    difference = np.abs(half - exact)
    assert 0 < difference.max() and difference.mean() < 4


def test_a_teacher_samples_in_its_own_dtype(teacher):
    half = Teacher(teacher.unet.copy(dtype="mixed_bfloat16"), teacher.diffusion)
    in_half = teacher.sample(4, sampler=SAMPLER, run=RunConfig(dtype="bfloat16"))
    assert np.array_equal(half.sample(4, sampler=SAMPLER), in_half)


def test_no_images_and_fewer(teacher):
    assert teacher.sample(0, sampler=SAMPLER).shape == (0, 8, 8, 3)
    with pytest.raises(InputError, match="must be at least 0"):
        teacher.sample(-1, sampler=SAMPLER)


def test_network_calls_are_the_steps_of_the_sampler():
    teacher = Teacher(UNet(TINY))
    # Quadratic spacing repeats four of its hundred steps.
    assert teacher.network_calls(SamplerConfig("quadratic", 100)) == 96
    assert teacher.network_calls(SamplerConfig("uniform", 50)) == 50


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A PyTorch file of DDPM's layout, and an input and output of its network."""
    values, inputs, output = ddpm_network.example()
    arrays = ddpm_network.ported(values)
    path = tmp_path_factory.mktemp("published") / "model.pt"
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(path, opcodes, list(arrays.values()))
    return str(path), inputs, output


def test_published_weights(published):
    source, inputs, output = published
    teacher = Teacher.from_pretrained(source)
    assert_close(teacher.unet(*inputs), output, "float16")
    assert teacher.image_shape == (32, 32, 3)
    assert teacher.diffusion == DiffusionConfig()


def test_options_replace_what_the_source_implies(published):
    source, _, _ = published
    options = dict(norm_epsilon=1e-3, image_size=64, attention_resolutions=(32,))
    teacher = Teacher.from_pretrained(source, **options)
    assert teacher.unet.config.norm_epsilon == 1e-3
    assert teacher.image_shape == (64, 64, 3)
    with pytest.raises(InputError, match="does not fit the network; missing: "):
        Teacher.from_pretrained(source, blocks_per_level=2)
    with pytest.raises(TypeError, match="widths"):
        Teacher.from_pretrained(source, widths=(1, 2))


def test_a_missing_source():
    with pytest.raises(
        InputError, match=r"`source` must exist. Received: source=/nowhere"
    ):
        Teacher.from_pretrained("/nowhere.pt")


def test_a_published_student_is_no_teacher(tmp_path):
    student = original.Student("cifar10")
    student(np.zeros((1, 32, 32, 3), np.float32))
    source = str(tmp_path / "cifar10_ema_model.h5")
    student.save_weights(source)
    with pytest.raises(InputError, match="`source` must be a teacher") as error:
        Teacher.from_pretrained(source)
    assert f"the student {source}, which `convert_weights` reads" in str(error.value)
