import os

import pytest

from tests.flags.commands import run


@pytest.fixture(scope="module")
def doctor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    return run("doctor", f"--work_dir={folder}/work", launcher=True), folder


def test_finds_no_fault_where_the_tests_run(doctor):
    finished = doctor[0]
    faults = [line for line in finished.out.splitlines() if "FAULT" in line]
    # Everything works with a small disk and without the kernels.
    optional = ("FAULT disk", "FAULT GroupNorm-SiLU")
    assert [f for f in faults if not f.strip().startswith(optional)] == []
    assert finished.code == (1 if faults else 0)
    end = f"{len(faults)} fault(s)." if faults else "No faults."
    assert finished.out.splitlines()[-1] == end


@pytest.mark.parametrize("name", ["tensorflow", "keras", "devices", "XLA", "TF-GAN"])
def test_checks(doctor, name):
    assert f"  ok    {name}: " in doctor[0].out


def test_checks_the_kernels(doctor):
    assert " GroupNorm-SiLU: " in doctor[0].out


def test_checks_the_disk(doctor):
    assert " GB free in " in doctor[0].out


def test_is_quiet_and_writes_nothing(doctor):
    finished, folder = doctor
    assert finished.err == ""
    assert list(folder.iterdir()) == []


def test_a_fault_is_printed_with_its_remedy_and_sets_the_exit_code(tmp_path):
    # A GPU that TensorFlow does not see.
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    finished = run("doctor", PATH=path, CUDA_VISIBLE_DEVICES="-1")
    lines = finished.out.splitlines()
    (place,) = [i for i, line in enumerate(lines) if "FAULT devices: " in line]
    assert lines[place + 1].startswith("        -> pip install 'tensorflow[and-cuda]'")
    assert lines[-1].endswith(" fault(s).")
    assert finished.code == 1
