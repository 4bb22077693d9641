"""oneDNN is on by default, also where TensorFlow itself would leave it off."""

import os
import subprocess
import sys

import pytest

from tf_student.runtime import onednn

_PRINTED = (
    "import os, tf_student; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'), end='')"
)


@pytest.mark.parametrize(("chosen", "expected"), [(None, "1"), ("0", "0")])
@pytest.mark.skipif(onednn.platform.machine() != "x86_64", reason="needs an x86 CPU")
def test_importing_the_package_turns_it_on_unless_the_user_has_chosen(chosen, expected):
    environment = {k: v for k, v in os.environ.items() if "ONEDNN" not in k}
    if chosen is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = chosen
    command = [sys.executable, "-c", _PRINTED]
    assert subprocess.check_output(command, env=environment, text=True) == expected


def test_other_processors_keep_tensorflows_own_choice(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(onednn.platform, "machine", lambda: "aarch64")
    onednn.use_by_default()
    assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ
