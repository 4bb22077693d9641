import dataclasses
import json
import types

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tf_student.flags import costs

from tests import networks, tiny_run
from tests.convert import ddpm_network, torch_writer
from tests.networks import randomise
from tests.tiny_run import RUN
from tf_student.convert import diffusers, diffusers_folder
from tf_student.models import draw, pretrained
from tf_student.models.convert import convert_weights
from tf_student.models.draw_config import SampleConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.pairs.make_pairs import make_pairs
from tf_student.runtime import leftovers
from tf_student.runtime.errors import InputError

# Converters have rows for every kind of layer.
TINY = dataclasses.replace(
    tiny_run.TINY, unet=dataclasses.replace(networks.TINY, channels=1)
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Run directories of a teacher and of a student."""
    folder = tmp_path_factory.mktemp("ours")
    unet = randomise(UNet(TINY.unet))
    Teacher(unet, TINY.diffusion).save(str(folder / "teacher"))
    student = Student(randomise(UNet(TINY.unet), seed=1), TINY.diffusion)
    student.save(str(folder / "student"))
    return types.SimpleNamespace(
        teacher=str(folder / "teacher"), student=str(folder / "student")
    )


@pytest.fixture(scope="module")
def theirs(ours, tmp_path_factory):
    """The same teacher and student in diffusers' layout."""
    folder = tmp_path_factory.mktemp("theirs")
    convert_weights(ours.teacher, str(folder / "teacher"))
    convert_weights(ours.student, str(folder / "student"))
    return folder


def same(a, b):
    return all(
        np.array_equal(x, y)
        for x, y in zip(a.get_weights(), b.get_weights(), strict=True)
    )


def test_a_teacher_comes_back_the_same(ours, theirs, tmp_path):
    teacher = convert_weights(str(theirs / "teacher"), str(tmp_path / "run"))
    assert isinstance(teacher, Teacher)
    loaded, original = Teacher.load(str(tmp_path / "run")), Teacher.load(ours.teacher)
    assert same(loaded.unet, original.unet)
    assert teacher.fingerprint == loaded.fingerprint == original.fingerprint
    assert teacher.diffusion == loaded.diffusion == TINY.diffusion


def test_the_network_of_a_student_is_converted(ours, theirs, tmp_path):
    convert_weights(str(theirs / "student"), str(tmp_path / "run"))
    # diffusers' layout does not store what the network is for.
    loaded = Teacher.load(str(tmp_path / "run"))
    assert same(loaded.unet, Student.load(ours.student).unet)


def test_converting_to_diffusers_returns_the_network(ours, tmp_path):
    teacher = convert_weights(ours.teacher, str(tmp_path / "teacher"))
    student = convert_weights(ours.student, str(tmp_path / "student"))
    assert (type(teacher), type(student)) == (Teacher, Student)
    assert teacher.fingerprint == Teacher.load(ours.teacher).fingerprint


def test_a_converted_teacher_makes_pairs(theirs, tmp_path):
    teacher = str(tmp_path / "teacher")
    convert_weights(str(theirs / "teacher"), teacher)
    pairs = make_pairs(
        teacher,
        str(tmp_path / "pairs"),
        config=dataclasses.replace(TINY.pairs, pairs=4, held_out_pairs=2),
        sampler=TINY.sampler,
        run=RUN,
    )
    assert pairs.manifest.diffusion == TINY.diffusion


def test_a_converted_student_draws_and_is_converted_back(tmp_path, monkeypatch):
    """No small .h5 file exists, so the source is a mock."""
    published = pretrained.Pretrained(UNet(TINY.unet), TINY.diffusion, True)
    monkeypatch.setattr(pretrained, "read", lambda source, **options: published)
    directory = str(tmp_path / "student")
    assert isinstance(convert_weights("a.h5", directory), Student)
    sample = SampleConfig(count=2)
    draw.draw_samples(None, directory, str(tmp_path), config=sample, run=RUN)
    convert_weights(directory, str(tmp_path / "theirs"))
    assert (tmp_path / "theirs" / "config.json").exists()


def test_the_configuration_says_where_weights_came_from(theirs, tmp_path):
    convert_weights(str(theirs / "teacher"), str(tmp_path / "run"))
    values = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (values["command"], values["network"]) == ("convert", "teacher")
    assert values["convert"] == {"source": str(theirs / "teacher")}


def test_options_replace_what_the_source_implies(tmp_path):
    values, _, _ = ddpm_network.example()
    arrays = ddpm_network.ported(values)
    path = str(tmp_path / "model.pt")
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(path, opcodes, list(arrays.values()))
    teacher = convert_weights(path, str(tmp_path / "run"), norm_epsilon=1e-3)
    assert teacher.unet.config.norm_epsilon == 1e-3
    assert Teacher.load(str(tmp_path / "run")).unet.config == teacher.unet.config


def test_options_beside_a_run_are_refused(ours, tmp_path):
    with pytest.raises(InputError, match=r"need published weights\. Received: groups"):
        convert_weights(ours.teacher, str(tmp_path / "theirs"), groups=4)
    assert not (tmp_path / "theirs").exists()


@pytest.fixture
def broken(tmp_path):
    """Writes a folder in diffusers' layout with changed tensors or config."""

    def write(change=lambda tensors: None, **options):
        folder = tmp_path / "broken"
        folder.mkdir()
        variables = UNet(TINY.unet).named_variables()
        diffusers_folder.write(
            str(folder), TINY.unet, TINY.diffusion, lambda p: variables[p].numpy()
        )
        weights = folder / f"{diffusers.WEIGHTS}.safetensors"
        tensors = {k: v.copy() for k, v in load_file(weights).items()}
        change(tensors)
        save_file(tensors, weights)
        values = json.loads((folder / "config.json").read_text()) | options
        (folder / "config.json").write_text(json.dumps(values))
        return str(folder)

    return write


def spoil(tensors):
    tensors["conv_in.bias"][0] = np.nan


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (spoil, {}, "values that are not finite: conv_in.bias"),
        (lambda t: t.pop("conv_in.bias"), {}, "missing: conv_in.bias"),
        (lambda t: t.update(more=np.zeros(1, "f")), {}, "unexpected: more"),
        (lambda t: None, {"layers_per_block": 2}, "missing: down_blocks.0.resnets.1"),
        (lambda t: None, {"block_out_channels": [16, 32]}, "wrong shape: conv_in"),
        (lambda t: None, {"class_embed_type": "identity"}, "must be None"),
        (lambda t: None, {"num_class_embeds": 3}, "missing: class_embedding.weight"),
    ],
)
def test_weights_that_do_not_fit_write_nothing(
    broken, tmp_path, change, options, message
):
    with pytest.raises(InputError) as error:
        convert_weights(broken(change, **options), str(tmp_path / "ours"))
    assert message in str(error.value)
    assert not (tmp_path / "ours").exists()


def test_a_directory_of_other_weights_is_not_changed(theirs, tmp_path, contents):
    directory = str(tmp_path / "ours")
    convert_weights(str(theirs / "teacher"), directory)
    before = contents(directory)
    with pytest.raises(InputError, match="was started with source="):
        convert_weights(str(theirs / "student"), directory)
    assert contents(directory) == before


def test_a_folder_with_something_in_it_is_not_changed(ours, tmp_path, contents):
    (tmp_path / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="`directory` must be new or empty"):
        convert_weights(ours.teacher, str(tmp_path))
    assert contents(tmp_path) == before


def test_what_a_killed_conversion_left_is_removed(ours, tmp_path):
    for name in ("new.tmp-0123abcd", "other.tmp-0123abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("half")
    (tmp_path / "new").mkdir()
    convert_weights(ours.teacher, str(tmp_path / "new"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "other.tmp-0123abcd"]
    back = tmp_path / "back"
    back.mkdir()
    for name in ("model.keras", "config.json", "notes"):
        (back / f"{name}.tmp-0123abcd").write_text("half")
    convert_weights(str(tmp_path / "new"), str(back))
    assert sorted(p.name for p in back.iterdir()) == [
        "config.json",
        "model.keras",
        "notes.tmp-0123abcd",
    ]


def test_what_another_conversion_is_writing_stays(ours, tmp_path):
    begun = tmp_path / "new.tmp-0123abcd"
    begun.mkdir()
    with leftovers.shared(str(tmp_path)):
        convert_weights(ours.teacher, str(tmp_path / "new"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", begun.name]


def test_a_conversion_that_another_one_overtook_is_refused(ours, tmp_path, monkeypatch):
    write = diffusers_folder.files.write_json

    def overtaken(path, value):
        write(path, value)
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / "other").write_text("here")

    monkeypatch.setattr(diffusers_folder.files, "write_json", overtaken)
    with pytest.raises(InputError, match=r"/new was written by another process\.$"):
        convert_weights(ours.teacher, str(tmp_path / "new"))
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == [
        "new",
        "new/other",
    ]


def test_a_conversion_that_fails_leaves_nothing(ours, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(diffusers_folder.files, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        convert_weights(ours.teacher, str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_a_conversion(ours, theirs):
    count = Teacher.load(ours.teacher).unet.count_params()
    size = {
        "image size": 8,
        "parameters": count,
        "bytes on disk (about)": 4 * count,
    }
    assert costs.conversion(ours.teacher) == {"source": "a run of this library", **size}
    assert costs.conversion(str(theirs / "teacher")) == {
        "source": "a folder of diffusers (UNet2DModel)",
        "weights": "the only ones; the file does not say whether they are EMA weights",
        "prediction": "epsilon",
        "schedule": "linear, betas from 0.0001 to 0.02 over 1,000 steps",
        "classes": "none",
        **size,
    }


def test_the_chosen_weights_are_part_of_the_configuration(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    arrays = ddpm_network.ported(ddpm_network.example()[0])
    raw = torch_writer.state_dict(arrays)
    average = torch_writer.state_dict(arrays, first=len(arrays))
    path = str(tmp_path / "model.pt")
    opcodes = torch_writer.as_dict({"net": raw, "net_ema": average})
    values = [*(np.zeros_like(v) for v in arrays.values()), *arrays.values()]
    torch_writer.write_archive(path, opcodes, values)
    teacher = convert_weights(path, str(tmp_path / "ema"))
    assert np.abs(teacher.unet.named_variables()["stem.kernel"]).max() > 0
    assert "a checkpoint of DDIM's PyTorch code. Weights: EMA, key net_ema." in (
        caplog.text
    )
    teacher = convert_weights(path, str(tmp_path / "raw"), weights="net")
    assert np.abs(teacher.unet.named_variables()["stem.kernel"]).max() == 0
    stored = json.loads((tmp_path / "raw" / "config.json").read_text())["convert"]
    assert stored == {"source": path, "weights": "net"}
    with pytest.raises(InputError, match="was started with weights='net'"):
        convert_weights(path, str(tmp_path / "raw"))
