import pytest

from tests.flags import conftest


@pytest.fixture(scope="module")
def doctor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    return conftest.run("doctor", f"--work_dir={folder}/work", launcher=True), folder


def test_finds_nothing_wrong_where_the_tests_run(doctor):
    finished = doctor[0]
    # A small disk is the one fault that says nothing about the installation.
    faults = [line for line in finished.out.splitlines() if "FAULT" in line]
    assert [line for line in faults if "FAULT disk" not in line] == []
    assert finished.code == (1 if faults else 0)


@pytest.mark.parametrize(
    "name", ["tensorflow", "keras", "devices", "XLA", "GroupNorm-SiLU", "TF-GAN"]
)
def test_looks_at(doctor, name):
    assert f"  ok    {name}: " in doctor[0].out


def test_looks_at_the_disk(doctor):
    assert " GB free in " in doctor[0].out


def test_is_quiet_and_writes_nothing(doctor):
    finished, folder = doctor
    assert finished.err == ""
    assert list(folder.iterdir()) == []
