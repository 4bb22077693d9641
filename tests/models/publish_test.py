"""Networks on the Hub: what is uploaded, and that it comes back."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tests.models import hub_server
from tests.networks import TINY, randomise
from tf_student.convert import model_card
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.models.convert import convert_weights
from tf_student.models.student import Origin, Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError

constants = pytest.importorskip("huggingface_hub.constants")

EVALUATION = {
    "networks": {
        name: {"calls": calls, "scores": {"FID": {"mean": fid}, "IS": {"mean": 2.0}}}
        for name, calls, fid in (("teacher", 12, 2.4), ("student", 1, 1.5))
    }
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_server.serving() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        # Both are made of the environment variable HF_ENDPOINT on import.
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE
        template = template.replace(constants.ENDPOINT, address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run directory of a student in a work directory."""
    directory = tmp_path_factory.mktemp("work") / "student"
    unet = randomise(UNet(dataclasses.replace(TINY, width_multipliers=(1,))))
    Student(unet, origin=Origin("the teacher", "the pairs")).save(str(directory))
    return directory


def _front_matter(card):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(card.split("---\n")[1])


def test_a_student_is_uploaded_and_comes_back(run, hub):
    (run.parent / "evaluation.json").write_text(json.dumps(EVALUATION))
    convert_weights(str(run), "hf:owner/name", license="cc-by-4.0")
    names = ["README.md", "config.json", "diffusion_pytorch_model.safetensors"]
    assert sorted(hub.files) == [*names, "scheduler/scheduler_config.json"]
    card = hub.files["README.md"].decode()
    about = _front_matter(card)
    assert (about["license"], about["library_name"]) == ("cc-by-4.0", "diffusers")
    for part in (
        "# name",
        "| teacher | the teacher |",
        "| network | calls | FID | IS |",
        "| student | 1 | 1.500 | 2.000 |",
        'from_pretrained("hf:owner/name")',
        'UNet2DModel.from_pretrained("owner/name")',
        'format=("litert",)',
        "images = z - y  # in [-1, 1]",
    ):
        assert part in card
    student = Student.load(str(run))
    teacher = Teacher.from_pretrained("hf:owner/name")
    np.testing.assert_array_equal(
        Student.from_teacher(teacher).generate(2), student.generate(2)
    )


def test_an_evaluation_before_the_training_is_not_that_of_the_weights(run, hub):
    path = run.parent / "evaluation.json"
    path.write_text(json.dumps(EVALUATION))
    os.utime(path, (1, 1))
    convert_weights(str(run), "hf:owner/name")
    card = hub.files["README.md"].decode()
    assert "## Figures" not in card and "license" not in _front_matter(card)


@pytest.mark.parametrize(
    ("source", "target", "license", "message"),
    [
        ("", "hf:name", "", "`directory` must be hf:owner/name, .*directory='hf:name'"),
        ("", "hf:owner/a b", "", "`directory` must be hf:owner/name"),
        ("", "hf:owner/name", "a\nb: c", "`license` must be a name such as mit"),
        ("", "folder", "mit", "`license` needs a directory hf:owner/name"),
        ("weights.bin", "hf:owner/name", "", "`source` must be a run directory"),
    ],
)
def test_wrong_input_uploads_nothing(run, hub, source, target, license, message):
    with pytest.raises(InputError, match=message):
        convert_weights(source or str(run), target, license=license)
    assert hub.requests == []


def test_a_refused_upload_is_one_line(run, hub):
    hub.refuses = True
    with pytest.raises(InputError, match="hf:owner/name could not be uploaded") as said:
        convert_weights(str(run), "hf:owner/name")
    assert "\n" not in str(said.value) and "403" in str(said.value)
    assert hub.files == {}


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        ("epsilon", "images = z - y"),
        ("v", "images = a**0.5 * z - (1 - a) ** 0.5 * y"),
        ("x_0", "images = y"),
    ],
)
def test_the_code_for_diffusers_follows_the_prediction(prediction, line):
    diffusion = DiffusionConfig(prediction=prediction)
    card = model_card.Card("a/b", "student", TINY, diffusion, 1, "", "x", {}, {})
    text = model_card.text(card)
    assert line in text and ("alphas_cumprod" in text) == (prediction == "v")
    code = text.split("With diffusers:\n\n```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
