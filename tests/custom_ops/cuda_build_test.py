"""The CUDA kernels: what nvcc makes of them, and what a host emulation computes."""

import importlib.util
import os
import pathlib
import shutil
import subprocess

import pytest

KERNELS = (
    pathlib.Path(__file__).resolve().parents[2]
    / "custom_ops/group_norm_silu/cc/kernels"
)


def _load_report():
    path = KERNELS / "report_cuda.py"
    spec = importlib.util.spec_from_file_location("report_cuda", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_kernels_do_not_spill_and_use_16_byte_accesses():
    kernels = _load_report().report("90")
    assert len(kernels) == 25
    assert [k.name for k in kernels if not k.is_good()] == []
    # Two blocks of 256 threads on a multiprocessor of 65,536 registers.
    assert max(k.registers for k in kernels) <= 128


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_kernels_agree_with_float64_in_emulation(tmp_path):
    check = tmp_path / "check"
    sources = [KERNELS / "group_norm_silu_cuda.cu.cc", KERNELS / "check_cuda.cc"]
    includes = [f"-I{KERNELS / 'emulation'}", f"-I{KERNELS.parents[3]}"]
    compiler = ["g++", "-x", "c++", "-std=c++17", "-O2", "-w"]
    subprocess.run([*compiler, *includes, *sources, "-o", check], check=True)
    # Few processors and little memory: teams, and rows that are read again.
    settings = {"EMULATED_PROCESSORS": "2", "EMULATED_SHARED": "24000"}
    result = subprocess.run(
        [check, "0"],
        env={**os.environ, **settings, "EMULATED_SEED": "7"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert "agree with float64 and repeat bit for bit" in result.stdout
