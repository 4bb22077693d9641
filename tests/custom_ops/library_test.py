import importlib.util
import logging
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops.problems import needs_library

CC = pathlib.Path(__file__).parents[2] / "custom_ops" / "group_norm_silu" / "cc"


def call(x):
    channels = x.shape[-1]
    return ops.group_norm_silu(x, tf.ones(channels), tf.zeros(channels), groups=2)


def traced_ops():
    function = tf.function(call).get_concrete_function(tf.TensorSpec([2, 3, 8]))
    return {op.type for op in function.graph.get_operations()}


@pytest.fixture(autouse=True)
def restore_mode():
    yield
    ops.set_mode("auto")


@needs_library
def test_auto_takes_the_kernel():
    assert "TfStudent>GroupNormSilu" in traced_ops()
    assert ops.describe().startswith("fused kernels: CPU")


@needs_library
def test_on_takes_the_kernel():
    ops.set_mode("on")
    assert ops.get_mode() == "on"
    assert "TfStudent>GroupNormSilu" in traced_ops()


def test_off_takes_the_formula():
    ops.set_mode("off")
    assert "TfStudent>GroupNormSilu" not in traced_ops()
    assert ops.describe() == "formula: the fused op is switched off"


@needs_library
def test_within_stock_operations_the_formula_serves_even_when_on():
    ops.set_mode("on")
    with ops.stock_operations():
        assert not any(name.startswith("TfStudent") for name in traced_ops())
    assert "TfStudent>GroupNormSilu" in traced_ops()


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match=r"`mode` must be one of.*mode='maybe'"):
        ops.set_mode("maybe")


def test_on_without_a_library_is_refused(monkeypatch):
    monkeypatch.setattr(ops, "_library", lambda: None)
    with pytest.raises(ValueError, match=f"TensorFlow {tf.__version__}.*not built"):
        ops.set_mode("on")
    assert ops.describe().startswith("formula: no library")
    assert np.all(np.isfinite(call(tf.ones([2, 3, 8]))))


@needs_library
def test_a_device_without_kernels_is_served_by_the_formula(monkeypatch):
    monkeypatch.setattr(ops, "_accelerators", lambda: ["TPU"])
    assert "TfStudent>GroupNormSilu" not in traced_ops()
    assert ops.describe() == "formula: the library has no kernels for TPU"
    with pytest.raises(ValueError, match="none for: TPU"):
        ops.set_mode("on")


@needs_library
@pytest.mark.parametrize("dtype", [tf.float64])
def test_other_types_are_served_by_the_formula(dtype):
    assert call(tf.ones([2, 3, 8], dtype)).dtype == dtype


@needs_library
@pytest.mark.parametrize("used", [False, True])
def test_xla_has_the_kernels_whenever_the_library_is_loaded(used):
    program = f"""
import tensorflow as tf
if {used}:
    tf.function(lambda x: x + 1.0, jit_compile=True)(tf.ones(3))
from tf_student.custom_ops.group_norm_silu.python import ops
f = tf.function(lambda x: ops.group_norm_silu(x, x[0, 0], x[0, 0], groups=2),
                jit_compile=True)
with tf.GradientTape() as tape:
    x = tf.ones([2, 3, 8])
    tape.watch(x)
    y = f(x)
assert tape.gradient(y, x).shape == x.shape
assert ops.library_loaded()
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_a_library_for_another_tensorflow_is_never_loaded(tmp_path, caplog):
    (tmp_path / "libgroup_norm_silu.tf2.20.0.so").write_bytes(b"not a library")
    logger = logging.getLogger("absl")
    logger.addHandler(caplog.handler)
    try:
        assert ops._find(tmp_path, "2.21.0") is None
    finally:
        logger.removeHandler(caplog.handler)
    assert "built for TensorFlow 2.20.0 and this is 2.21.0" in caplog.text


def test_the_library_for_this_tensorflow_is_found(tmp_path):
    (tmp_path / "libgroup_norm_silu.tf2.20.0.so").touch()
    (tmp_path / "libgroup_norm_silu.tf2.21.0.so").touch()
    assert ops._find(tmp_path, "2.21.0").name == "libgroup_norm_silu.tf2.21.0.so"


# The build.


def load_build():
    spec = importlib.util.spec_from_file_location("build_op", CC / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_compiler_is_said(tmp_path):
    result = subprocess.run(
        [sys.executable, CC / "build.py", tmp_path],
        env={"PATH": "/nowhere", "CXX": "no-such-compiler"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == "no C++ compiler was found\n"


def test_a_failing_compiler_is_quoted(monkeypatch, tmp_path):
    build = load_build()
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("NVCC", "no-such-compiler")
    with pytest.raises(build.BuildError, match=r"`false .*` failed"):
        build.build(tmp_path)
    assert not list(tmp_path.iterdir())


@needs_library
def test_the_library_is_named_after_this_tensorflow():
    name = pathlib.Path(ops.library_path()).name
    assert name == load_build().library_name(tf.__version__)


def test_a_finished_library_is_taken_in_place_of_a_build(tmp_path):
    build = load_build()
    name = build.library_name(tf.__version__)
    finished, folder = tmp_path / name, tmp_path / "package"
    finished.write_bytes(b"finished")
    folder.mkdir()
    (folder / build.library_name("2.20.0")).touch()
    assert build.take(finished, folder) == f"{finished} was taken."
    assert [path.name for path in folder.iterdir()] == [name]
    # An editable installation may name its own.
    build.take(folder / name, folder)
    assert (folder / name).read_bytes() == b"finished"
