import importlib.metadata
import os
import shutil
import sys
from unittest import mock

import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.runtime import doctor
from tf_student.runtime.doctor import Finding


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_installed_versions_have_no_fault():
    findings = by_name(doctor.versions())
    assert findings["tensorflow"] == Finding("tensorflow", tf.__version__)
    assert [finding for finding in findings.values() if finding.remedy] == []


def test_another_version_is_a_fault(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")
    finding = by_name(doctor.versions())["keras"]
    assert finding.text.startswith("1.0, expected ")
    assert finding.remedy.startswith("pip install 'keras")


def test_a_missing_package_is_a_fault(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    finding = by_name(doctor.versions())["numpy"]
    assert finding == Finding("numpy", "not installed", "pip install 'numpy>=1.26'")


def test_versions_are_checked_without_tensorflow():
    with mock.patch.dict(sys.modules, {"tensorflow": None}):
        assert "tensorflow" in by_name(doctor.versions())


@pytest.mark.parametrize(
    ("gpus", "nvidia_smi", "text", "fault"),
    [
        (["GPU:0", "GPU:1"], "/usr/bin/nvidia-smi", "2 GPU(s)", False),
        ([], None, f"CPU only, {os.cpu_count()} cores", False),
        (
            [],
            "/usr/bin/nvidia-smi",
            "this machine has a GPU that TensorFlow does not see",
            True,
        ),
    ],
)
def test_devices(monkeypatch, gpus, nvidia_smi, text, fault):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(shutil, "which", lambda name: nvidia_smi)
    finding = doctor.devices()
    assert (finding.name, finding.text) == ("devices", text)
    assert (finding.remedy is not None) == fault


def test_xla_compiles():
    finding = doctor.xla()
    assert finding.text.startswith("compiles; on by default: ")
    assert finding.remedy is None


def test_xla_that_does_not_compile_is_a_fault(monkeypatch):
    def function(*arguments, **keywords):
        def fail(x):
            raise tf.errors.UnimplementedError(None, None, "no compiler\nand more")

        return fail

    monkeypatch.setattr(tf, "function", function)
    remedy = "run with --xla=off, or reinstall TensorFlow"
    assert doctor.xla() == Finding("XLA", "no compiler", remedy)


@pytest.mark.parametrize("built", [True, False])
def test_fused_op(monkeypatch, built):
    monkeypatch.setattr(ops, "library_loaded", lambda: built)
    monkeypatch.setattr(ops, "describe", lambda: "a description")
    finding = doctor.fused_op()
    assert (finding.name, finding.text) == ("GroupNorm-SiLU", "a description")
    assert (finding.remedy is None) == built


def test_a_module_that_can_be_imported():
    assert doctor.importable("JSON", "json", "install it") == Finding(
        "JSON", "json can be imported"
    )


def test_a_module_that_cannot_be_imported_is_a_fault():
    assert doctor.importable("none", "no_such_module", "install it") == Finding(
        "none", "No module named 'no_such_module'", "install it"
    )


def test_the_disk_of_the_nearest_existing_directory(tmp_path):
    finding = doctor.disk(str(tmp_path / "runs" / "digits"))
    assert finding.text.endswith(f" GB free in {tmp_path}")


def test_a_remote_directory_has_no_disk():
    finding = doctor.disk("gs://bucket/run")
    assert finding == Finding("disk", "gs://bucket/run is remote: its space is unknown")


def test_a_full_disk_is_a_fault(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    finding = doctor.disk(str(tmp_path))
    assert finding.text == f"1.0 GB free in {tmp_path}"
    assert finding.remedy == "free some space, or choose another --work_dir"


def test_enough_disk_is_no_fault(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert doctor.disk(str(tmp_path)) == Finding("disk", f"100 GB free in {tmp_path}")


def test_a_directory_that_is_not_writable_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert doctor.disk(str(tmp_path)) == Finding(
        "disk", f"{tmp_path} is not writable", "choose --work_dir"
    )
