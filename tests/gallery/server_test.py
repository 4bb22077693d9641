import socket
import sys

import pytest

from tests.client import saved_models
from tf_student.gallery import server
from tf_student.gallery.gallery_config import GalleryConfig
from tf_student.runtime.errors import InputError


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return saved_models.write(tmp_path_factory.mktemp("export"))


def test_teacher_is_shown_if_it_exists(student, tmp_path):
    absent = str(tmp_path / "export_teacher")
    single = server.open_models(absent, student)
    assert list(single) == ["student"]
    both = server.open_models(student, student)
    assert list(both) == ["student", "teacher"]


def test_required_teacher_must_exist(student, tmp_path):
    with pytest.raises(InputError, match="absent has no SavedModel"):
        server.open_models(str(tmp_path / "absent"), student, required=["teacher"])


def test_teacher_with_another_shape_is_refused(student, tmp_path):
    teacher = saved_models.write(tmp_path, shape=(4, 4, 1))
    with pytest.raises(InputError, match=r"teacher \(4, 4, 1\), student \(8, 8, 3\)"):
        server.open_models(teacher, student)


def _models():
    raise AssertionError("too early")


def test_used_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"port={port}: Address already in use\.$"
        ):
            server.serve(_models, GalleryConfig(port=port), print)


def test_address_of_another_machine_is_named():
    config = GalleryConfig(host="192.0.2.1", port=0)
    with pytest.raises(InputError, match=r"Received: host=192.0.2.1, port=0"):
        server.serve(_models, config, print)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "waitress", None)
    with pytest.raises(InputError, match=r"pip install 'tf-student\[gallery\]'"):
        server.serve(_models, GalleryConfig(), print)


def test_only_this_machine_is_trusted_by_default():
    assert server.trusted_hosts(GalleryConfig()) == {
        "localhost",
        "127.0.0.1",
        "[::1]",
    }


def test_listening_address_and_configured_hosts_are_trusted():
    config = GalleryConfig(
        host="2001:DB8::1", trusted_hosts="Box.example, 10.0.0.5, ::2,"
    )
    trusted = server.trusted_hosts(config)
    assert {"[2001:db8::1]", "box.example", "10.0.0.5", "[::2]"} < trusted
    assert socket.gethostname().lower() in trusted
    assert "" not in trusted
