import json

import numpy as np
import pytest

from tests.convert import ddpm_network, torch_writer
from tests.tiny_run import RUN, TINY
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import diffusers, diffusers_config
from tf_student.convert.convert_config import ConvertConfig
from tf_student.models import convert, draw, model_directory, pretrained
from tf_student.models.draw_config import SampleConfig
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.pairs import make_pairs
from tf_student.runtime.errors import InputError


@pytest.fixture(scope="module")
def theirs(demo_run, tmp_path_factory):
    """The demo_run's teacher and student in diffusers' layout."""
    folder = tmp_path_factory.mktemp("theirs")
    convert.convert(demo_run.teacher, str(folder / "teacher"))
    convert.convert(demo_run.student, str(folder / "student"))
    return folder


def same(a, b):
    return all(
        np.array_equal(x, y)
        for x, y in zip(a.get_weights(), b.get_weights(), strict=True)
    )


def test_a_teacher_comes_back_the_same(demo_run, theirs, tmp_path):
    convert.convert(str(theirs / "teacher"), str(tmp_path / "ours"))
    ours = model_directory.load_teacher(str(tmp_path / "ours"))
    old = model_directory.load_teacher(demo_run.teacher)
    assert same(ours, old)
    assert model_directory.fingerprint(ours) == model_directory.fingerprint(old)


def test_a_students_network_is_handed_on(demo_run, theirs, tmp_path):
    convert.convert(str(theirs / "student"), str(tmp_path / "ours"))
    ours = model_directory.load_teacher(str(tmp_path / "ours"))
    assert same(ours, model_directory.load_student(demo_run.student).unet)


def test_a_converted_teacher_makes_pairs(theirs, tmp_path):
    teacher = str(tmp_path / "teacher")
    convert.convert(str(theirs / "teacher"), teacher)
    manifest = make_pairs.make_pairs(str(tmp_path / "pairs"), teacher, TINY, RUN)
    assert manifest.diffusion == TINY.diffusion


def test_a_converted_student_draws_and_is_handed_on(tmp_path, monkeypatch):
    """No small .h5 file exists, so the source is made up."""
    student = Student(UNet(TINY.unet))
    directory = str(tmp_path / "student")
    convert.run_directory.claim(
        directory,
        "convert",
        {
            "unet": TINY.unet,
            "diffusion": TINY.diffusion,
            "convert": ConvertConfig("a.h5", "student"),
        },
    )
    model_directory.save(directory, student)
    sample = SampleConfig(count=2)
    draw.sample(str(tmp_path), "", directory, sample, TINY.sampler, RUN)
    convert.convert(directory, str(tmp_path / "theirs"))
    assert (tmp_path / "theirs" / "config.json").exists()


def test_the_configuration_says_where_weights_came_from(theirs, tmp_path):
    convert.convert(str(theirs / "teacher"), str(tmp_path / "ours"))
    values = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert values["station"] == "convert"
    assert values["convert"] == {
        "source": str(theirs / "teacher"),
        "network": "teacher",
    }


def test_the_architecture_can_be_changed_by_hand(tmp_path):
    values, _, _ = ddpm_network.example()
    arrays = ddpm_network.ported(values)
    path = str(tmp_path / "model.pt")
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(path, opcodes, list(arrays.values()))

    def adjust(found):
        return UNetConfig(**{**vars(found), "norm_epsilon": 1e-3})

    unet = convert.convert(path, str(tmp_path / "ours"), adjust)
    assert unet.config.norm_epsilon == 1e-3


def test_its_cost(demo_run, theirs):
    unet = model_directory.load_teacher(demo_run.teacher)
    count = unet.count_params()
    expected = {
        "image size": 8,
        "parameters": count,
        "bytes on disk (about)": 4 * count,
    }
    assert convert.cost(demo_run.teacher) == expected
    assert convert.cost(str(theirs / "teacher")) == expected


@pytest.fixture
def broken(tmp_path):
    """Writes a folder in diffusers' layout with changed tensors or config."""

    def write(change=lambda tensors: None, **options):
        folder = tmp_path / "broken"
        folder.mkdir()
        tensors = pretrained.unload(UNet(TINY.unet), diffusers.rows(TINY.unet))
        change(tensors)
        values = diffusers_config.write_config(TINY.unet) | options
        (folder / "config.json").write_text(json.dumps(values))
        path = folder / f"{diffusers.WEIGHTS}.safetensors"
        convert._write_safetensors(str(path), tensors)
        return str(folder)

    return write


def spoil(tensors):
    tensors["conv_in.bias"][0] = np.nan


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (spoil, {}, "values that are not finite: conv_in.bias"),
        (lambda t: t.pop("conv_in.bias"), {}, "missing: conv_in.bias"),
        (lambda t: t.update(more=np.zeros(1, "f")), {}, "not expected: more"),
        (lambda t: None, {"layers_per_block": 2}, "missing: down_blocks.0.resnets.1"),
        (lambda t: None, {"block_out_channels": [16, 32]}, "wrong shape: conv_in"),
        (lambda t: None, {"freq_shift": 0}, "`freq_shift` must be 1"),
    ],
)
def test_what_does_not_fit_leaves_nothing(broken, tmp_path, change, options, message):
    with pytest.raises(InputError) as error:
        convert.convert(broken(change, **options), str(tmp_path / "ours"))
    assert message in str(error.value)
    assert not (tmp_path / "ours").exists()


def test_a_directory_of_other_weights_is_left_alone(theirs, tmp_path, contents):
    directory = str(tmp_path / "ours")
    convert.convert(str(theirs / "teacher"), directory)
    before = contents(directory)
    with pytest.raises(InputError, match="was begun with source="):
        convert.convert(str(theirs / "student"), directory)
    assert contents(directory) == before


def test_a_folder_with_something_in_it_is_left_alone(demo_run, tmp_path, contents):
    (tmp_path / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="`to` must be a new or an empty folder"):
        convert.convert(demo_run.teacher, str(tmp_path))
    assert contents(tmp_path) == before
