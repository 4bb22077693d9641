"""The command `convert` on published weights."""

import json

import pytest

from tests.convert import ddpm_network, torch_writer
from tests.flags.commands import fork


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "model.pt"
    arrays = ddpm_network.ported(ddpm_network.example()[0])
    opcodes = torch_writer.state_dict(arrays)
    torch_writer.write_archive(path, opcodes, list(arrays.values()))
    return path


@pytest.fixture(scope="module")
def runs(checkpoint, pool, tmp_path_factory):
    """Converts a checkpoint, verifies it and converts it back; and wrong inputs."""
    folder = tmp_path_factory.mktemp("converted")
    code = folder / "code.pt"
    opcodes = torch_writer.call("posix", "getcwd")
    torch_writer.write_archive(code, opcodes, [])
    teacher = folder / "teacher"

    def convert_and_back():
        steps = {
            "dry": ("convert", f"--from={checkpoint}", f"--to={teacher}", "--dry_run"),
            "convert": ("convert", f"--from={checkpoint}", f"--to={teacher}"),
            "verify": (
                "verify-teacher",
                f"--work_dir={folder}/work",
                f"--teacher_dir={teacher}",
                "--count=2",
                "--calls=2",
            ),
            "back": ("convert", f"--from={teacher}", f"--to={folder}/theirs"),
        }
        return {name: fork(*step) for name, step in steps.items()}

    refused = {
        "code": ("convert", f"--from={code}", f"--to={folder}/refused"),
        "missing": ("convert", "--from=/nowhere", f"--to={folder}/refused"),
        "no_to": ("convert", f"--from={checkpoint}"),
        "size": (
            "convert",
            f"--from={checkpoint}",
            f"--to={folder}/refused",
            "--width_multipliers=1,2,2",
            "--image_size=64",
        ),
    }
    chain = pool.submit(convert_and_back)
    futures = {k: pool.submit(fork, *v) for k, v in refused.items()}
    finished = {name: future.result() for name, future in futures.items()}
    return finished | chain.result(), folder


def test_a_dry_run_shows_the_size(runs):
    finished = runs[0]["dry"]
    assert (finished.code, finished.err) == (0, "")
    assert "  source: a checkpoint of DDIM's PyTorch code\n" in finished.out
    assert "  weights: the only ones; the file does not say" in finished.out
    assert "  prediction: epsilon\n" in finished.out
    assert "  classes: none\n" in finished.out
    assert "  image size: 32\n" in finished.out


def test_converts_a_checkpoint(runs):
    finished, folder = runs[0]["convert"], runs[1]
    assert finished.code == 0, finished.err
    assert finished.out.startswith("Wrote all ")
    assert finished.out.endswith(f" to {folder}/teacher.\n")
    values = json.loads((folder / "teacher" / "config.json").read_text())
    assert values["unet"]["width_multipliers"] == [1, 2]


def test_verifies_the_converted_teacher(runs):
    finished, folder = runs[0]["verify"], runs[1]
    assert finished.code == 0, finished.err
    assert finished.out.startswith(f"samples: {folder}/work/teacher.png, mean ")


def test_writes_a_folder_for_diffusers(runs):
    finished, folder = runs[0]["back"], runs[1]
    assert finished.code == 0, finished.err
    assert sorted(path.name for path in (folder / "theirs").iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "scheduler",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("code", "a reference to posix.getcwd"),
        ("missing", "`source` must exist. Received: source=/nowhere."),
        ("no_to", "`to` must be set"),
        ("size", "does not fit the network; missing: "),
    ],
)
def test_wrong_input_is_one_line(runs, name, message):
    finished, folder = runs[0][name], runs[1]
    assert (finished.code, finished.err.count("\n")) == (2, 1), finished.err
    assert finished.err.startswith("tf-student convert: ") and message in finished.err
    assert not (folder / "refused").exists()
