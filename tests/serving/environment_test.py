import os
import subprocess
import sys

import pytest

from tf_student.serving import environment


def test_environment_has_tensorflow_and_not_this_package():
    with environment.without_this_package() as site:
        names = os.listdir(site)
        assert "tensorflow" in names and "numpy" in names
        assert not [name for name in names if "student" in name]
        program = f"import sys; sys.path[:0] = [{site!r}]; import google.protobuf; "
        program += "import importlib.util as u; print(u.find_spec('tf_student'))"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "None\n"
    assert not os.path.exists(site)


def test_failing_program_is_quoted(tmp_path):
    missing = str(tmp_path / "request.json")
    with pytest.raises(RuntimeError, match=r"(?s)without this package:.*No such file"):
        environment.run_isolated(missing)
