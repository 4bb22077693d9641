"""Reports registers, spills and 16-byte accesses of the compiled CUDA kernels.

    python report_cuda.py [--nvcc=nvcc] [--arch=80 --arch=90]

Exits with code 1 if a kernel uses local memory, or if a packed kernel has no 16-byte
access. Reads the accesses from the machine code with cuobjdump ($CUOBJDUMP, the PATH,
or the nvidia-cuda-cuobjdump package), else from the PTX.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

_HERE = pathlib.Path(__file__).resolve().parent
_SOURCE = _HERE / "group_norm_silu_cuda.cu.cc"
_ROOT = _HERE.parents[3]
# "Kernel<type, values a pack, silu>", mangled.
_VARIANT = re.compile(r"\d((?:Forward|Backward)Kernel)I(.*?)Li(\d+)ELb([01])E")
_TYPES = {"f": "float32", "13__nv_bfloat16": "bfloat16", "6__half": "float16"}


@dataclasses.dataclass
class Kernel:
    """The report on one kernel."""

    name: str
    packed: bool
    registers: int
    spill_bytes: int
    stack_bytes: int
    loads: int = 0
    stores: int = 0
    local: int = 0

    def is_good(self) -> bool:
        """Whether it uses no local memory and, if packed, 16-byte accesses."""
        spills = self.spill_bytes or self.stack_bytes or self.local
        return not spills and (not self.packed or (self.loads > 0 and self.stores > 0))


def find_cuobjdump() -> str | None:
    """Returns the path of the disassembler, or None."""
    candidates = [os.environ.get("CUOBJDUMP"), "cuobjdump"]
    purelib = pathlib.Path(sysconfig.get_paths()["purelib"])
    candidates += [str(p) for p in sorted(purelib.glob("nvidia/cu*/bin/cuobjdump"))]
    candidates.append("/usr/local/cuda/bin/cuobjdump")
    return next((c for c in candidates if c and shutil.which(c)), None)


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{result.stderr}")
    return result.stdout + result.stderr


def _name(symbol: str) -> tuple[str, bool]:
    variant = _VARIANT.search(symbol)
    if variant is None:
        return re.search(r"\d([A-Z]\w*?Kernel)", symbol)[1], False
    kernel, dtype, width, silu = variant.groups()
    activation = "silu" if silu == "1" else "none"
    return f"{kernel}<{_TYPES[dtype]}, {width}, {activation}>", width != "1"


def _resources(report: str) -> dict[str, Kernel]:
    pattern = (
        r"Compiling entry function '(\S+)'.*?(\d+) bytes stack frame, "
        r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers"
    )
    kernels = {}
    for match in re.finditer(pattern, report, re.DOTALL):
        stack, stores, loads, registers = map(int, match.groups()[1:])
        name, packed = _name(match[1])
        kernels[match[1]] = Kernel(name, packed, registers, stores + loads, stack)
    return kernels


def _count_accesses(kernels: dict[str, Kernel], code: str, entry: str, patterns):
    # re.split returns the text before the first kernel, then name, body, name, ...
    parts = re.split(entry, code)
    for symbol, body in zip(parts[1::2], parts[2::2], strict=True):
        kernel = kernels[symbol]
        counts = [len(re.findall(pattern, body)) for pattern in patterns]
        kernel.loads, kernel.stores, kernel.local = counts


def report(arch: str, nvcc: str = "nvcc") -> list[Kernel]:
    """Compiles the kernels for `sm_<arch>` and returns the report of the compiler."""
    flags = ["-x", "cu", "-std=c++17", "-O3", f"-I{_ROOT}", f"-arch=sm_{arch}"]
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, "kernels.cubin")
        text = _run(
            *(nvcc, *flags, "-Xptxas", "-v", "-cubin", str(_SOURCE), "-o", cubin)
        )
        kernels = _resources(text)
        disassembler = find_cuobjdump()
        if disassembler is not None:
            sass = _run(disassembler, "-sass", cubin)
            patterns = (r"\bLDG\.E\.128", r"\bSTG\.E\.128", r"\b(?:LDL|STL)\b")
            _count_accesses(kernels, sass, r"Function : (\S+)", patterns)
        else:
            ptx = os.path.join(folder, "kernels.ptx")
            _run(nvcc, *flags, "-ptx", str(_SOURCE), "-o", ptx)
            wide = r"\b{}\.global\.v4\.[a-z]32\b"
            patterns = (wide.format("ld"), wide.format("st"), r"\b(?:ld|st)\.local\b")
            code = pathlib.Path(ptx).read_text()
            _count_accesses(kernels, code, r"\.entry (\w+)", patterns)
    return list(kernels.values())


def main() -> int:
    """Prints a table for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--arch", action="append")
    args = parser.parse_args()
    good = True
    for arch in args.arch or ["80", "90"]:
        source = "machine code" if find_cuobjdump() else "PTX"
        print(f"sm_{arch}: registers, spilled bytes, 16-byte loads, stores ({source})")
        for kernel in sorted(report(arch, args.nvcc), key=lambda k: k.name):
            print(
                f"  {kernel.name:38} {kernel.registers:4} {kernel.spill_bytes:4} "
                f"{kernel.loads:4} {kernel.stores:4}"
                + ("" if kernel.is_good() else "  BAD")
            )
            good &= kernel.is_good()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
