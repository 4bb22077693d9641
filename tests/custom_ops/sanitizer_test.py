"""The CPU kernels under the address and undefined-behaviour sanitizers."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
KERNELS = ROOT / "custom_ops" / "group_norm_silu" / "cc" / "kernels"
FLAGS = (
    "-std=c++17 -O1 -g -Wno-psabi -Wno-maybe-uninitialized -pthread "
    "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split()


def has_sanitizers(tmp_path) -> bool:
    probe = tmp_path / "probe.cc"
    probe.write_text("int main() {}")
    command = ["g++", *FLAGS, str(probe), "-o", str(tmp_path / "probe")]
    return subprocess.run(command, capture_output=True).returncode == 0


def compile_check(tmp_path) -> pathlib.Path:
    sources = [
        *KERNELS.glob("cpu_loops_*.cc"),
        KERNELS / "group_norm_silu_cpu.cc",
        KERNELS / "check_cpu.cc",
    ]
    objects = [tmp_path / f"{s.stem}.o" for s in sources]
    compiling = [
        subprocess.Popen(["g++", *FLAGS, f"-I{ROOT}", "-c", s, "-o", o])
        for s, o in zip(sources, objects, strict=True)
    ]
    assert [p.wait() for p in compiling] == [0] * len(sources)
    program = tmp_path / "check_cpu"
    subprocess.run(["g++", *FLAGS, *objects, "-o", program], check=True)
    return program


def test_the_sanitizers_find_nothing(tmp_path):
    if shutil.which("g++") is None or not has_sanitizers(tmp_path):
        pytest.skip("needs g++ with its sanitizers")
    program = compile_check(tmp_path)
    for simd in ("baseline", "avx2", "avx512"):
        result = subprocess.run(
            [program],
            env={**os.environ, "TF_STUDENT_SIMD": simd},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "0 differences" in result.stdout
