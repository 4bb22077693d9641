"""benchmarks/gpu: programs that leave TensorFlow give the same results in JAX."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from tf_student.custom_ops.group_norm_silu.python import ops

pytest.importorskip("jax")

GPU = pathlib.Path(__file__).resolve().parents[2] / "benchmarks/gpu"


def _run(script, *arguments):
    command = [sys.executable, GPU / script, *arguments]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, check=True, env=environment, capture_output=True)


@pytest.mark.skipif(not ops.library_loaded(), reason="the fused op is not built")
def test_fused_programs_agree_with_the_stock_ones_in_jax(tmp_path):
    options = ("--networks=digits", "--works=inference,distillation")
    _run("export.py", tmp_path, *options, "--dtypes=float32", "--divide=32")
    result = tmp_path / "result.json"
    options = ("--platform=cpu", "--rounds=1", "--threads=2")
    _run("time_programs.py", tmp_path, ops.library_path(), result, *options)
    rows = json.loads(result.read_text())["rows"]
    names = [row["name"] for row in rows]
    assert names == ["digits-inference-float32", "digits-distillation-float32"]
    assert all(row["error"] < 1e-5 for row in rows)
    assert all(row["repeats_bit_for_bit"] for row in rows)
