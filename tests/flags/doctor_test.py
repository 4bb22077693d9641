import pytest

from tests.flags import conftest


@pytest.fixture(scope="module")
def doctor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    return conftest.run("doctor", f"--work_dir={folder}/work", launcher=True), folder


def test_finds_nothing_wrong_where_the_tests_run(doctor):
    finished = doctor[0]
    faults = [line for line in finished.out.splitlines() if "FAULT" in line]
    # A small disk, or kernels that are not built, leave everything working.
    optional = ("FAULT disk", "FAULT GroupNorm-SiLU")
    assert [f for f in faults if not f.strip().startswith(optional)] == []
    assert finished.code == (1 if faults else 0)


@pytest.mark.parametrize("name", ["tensorflow", "keras", "devices", "XLA", "TF-GAN"])
def test_looks_at(doctor, name):
    assert f"  ok    {name}: " in doctor[0].out


def test_looks_at_the_kernels(doctor):
    assert " GroupNorm-SiLU: " in doctor[0].out


def test_looks_at_the_disk(doctor):
    assert " GB free in " in doctor[0].out


def test_is_quiet_and_writes_nothing(doctor):
    finished, folder = doctor
    assert finished.err == ""
    assert list(folder.iterdir()) == []
