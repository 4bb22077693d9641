import pytest

from tf_student.serving import environment


def test_isolated_process_refuses_to_run_beside_this_package(tmp_path):
    (tmp_path / "site" / "tf_student").mkdir(parents=True)
    (tmp_path / "site" / "tf_student" / "__init__.py").touch()
    request = tmp_path / "request.json"
    request.write_text(f'{{"site": "{tmp_path}/site"}}')
    with pytest.raises(RuntimeError, match="tf_student must not be importable"):
        environment.run_isolated(str(request))
