"""Compiles the op's shared library against the installed TensorFlow.

    python custom_ops/group_norm_silu/cc/build.py OUTPUT_DIR [--jobs=N]

Needs a C++17 compiler ($CXX, else g++, else clang++) and the TensorFlow wheel. Also
builds the CUDA kernels if it finds nvcc ($NVCC, the PATH or /usr/local/cuda/bin).
"""

import argparse
import concurrent.futures
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

_CC = pathlib.Path(__file__).resolve().parent
_ROOT = _CC.parents[2]

# Kernels select the instruction set at run time, so no flag names one.
_CXX_FLAGS = (
    "-std=c++17 -O3 -fPIC -DNDEBUG -ffp-contract=fast -fno-math-errno "
    "-Wno-psabi -Wno-maybe-uninitialized"
).split()
_NVCC_FLAGS = (
    "-std=c++17 -O3 -DNDEBUG -x cu -Xcompiler -fPIC "
    "-gencode arch=compute_80,code=sm_80 "
    "-gencode arch=compute_90,code=[sm_90,compute_90]"
).split()


class BuildError(RuntimeError):
    """The library cannot be built here; the message says what is missing or failed."""


class CudaError(BuildError):
    """The CUDA kernels cannot be built here; the rest of the library might."""


def library_name(tensorflow_version: str) -> str:
    """Returns the name of the library for one TensorFlow version."""
    return f"libgroup_norm_silu.tf{tensorflow_version}.so"


def _first(variable: str, *names: str) -> str | None:
    """Returns the program that a variable names, else the first installed one."""
    candidates = [os.environ[variable]] if variable in os.environ else names
    return next((c for c in candidates if shutil.which(c)), None)


def compiler() -> str | None:
    """Returns the C++ compiler, or None."""
    return _first("CXX", "g++", "clang++")


def nvcc() -> str | None:
    """Returns the CUDA compiler, or None."""
    return _first("NVCC", "nvcc", "/usr/local/cuda/bin/nvcc")


def _tensorflow() -> tuple[pathlib.Path, str]:
    """Returns the folder and version of TensorFlow, without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise BuildError("TensorFlow is not installed")
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return pathlib.Path(spec.origin).parent, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise BuildError("the installed TensorFlow's version is unknown")


def _tensorflow_flags(tensorflow: pathlib.Path) -> list[str]:
    include = tensorflow / "include"
    # The headers of XLA include these two relative to TensorFlow's own build.
    folders = (
        include,
        include / "external/highwayhash",
        include / "external/farmhash_archive/src",
    )
    return [
        "-D_GLIBCXX_USE_CXX11_ABI=1",
        "-DEIGEN_MAX_ALIGN_BYTES=64",
        *(f"-isystem{folder}" for folder in folders),
    ]


def _run(command: list[str]) -> None:
    kind = CudaError if command[0] == nvcc() else BuildError
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise kind(f"`{command[0]}` cannot be run: {error}") from error
    if result.returncode:
        tail = "\n".join(result.stderr.strip().splitlines()[-20:])
        raise kind(f"`{' '.join(command)}` failed:\n{tail}")


def _compile(commands: dict[pathlib.Path, list[str]], jobs: int) -> list[pathlib.Path]:
    """Runs the commands in parallel; the keys are their output files."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(_run, commands.values()))
    return list(commands)


def _sources() -> list[pathlib.Path]:
    """Returns all sources of the library, beginning with the slowest to compile."""
    sources = [s for s in sorted(_CC.glob("*/*.cc")) if not s.name.endswith(".cu.cc")]
    sources = [s for s in sources if not s.stem.startswith("check_")]
    return sorted(sources, key=lambda s: s.name != "xla_kernels.cc")


def _commands(compile_command, sources, objects) -> dict[pathlib.Path, list[str]]:
    """Returns, for each object file, the command that writes it."""
    return {
        objects / f"{source.stem}.o": [
            *compile_command,
            *(f"-I{_ROOT}", "-c", str(source), "-o", str(objects / f"{source.stem}.o")),
        ]
        for source in sources
    }


def _link(linker: str, tensorflow, objects, output, portable: bool) -> None:
    # Written beside the target and renamed: processes that use the old file keep it.
    partial = output.with_suffix(".partial")
    # TensorFlow in the same site-packages, or the one of this build.
    folders = "$ORIGIN/../../../tensorflow" + ("" if portable else f":{tensorflow}")
    options = ("-z,defs,--as-needed", f"-rpath,{folders}")
    # nvcc knows the path of the CUDA runtime and links it statically.
    prefix = "-Xlinker=" if linker == nvcc() else "-Wl,"
    _run(
        [
            *(linker, "-shared", "-o", str(partial), *map(str, objects)),
            *(prefix + option for option in options),
            f"-L{tensorflow}",
            *("-l:libtensorflow_framework.so.2", "-l:libtensorflow_cc.so.2"),
        ]
    )
    os.replace(partial, output)


def _build_for(
    cuda: bool, tensorflow, output: pathlib.Path, jobs: int, portable: bool
) -> None:
    cxx = [compiler(), *_CXX_FLAGS, *_tensorflow_flags(tensorflow)]
    with tempfile.TemporaryDirectory() as folder:
        objects = pathlib.Path(folder)
        commands = {}
        if cuda:
            cuda_sources = sorted(_CC.glob("kernels/*.cu.cc"))
            commands = _commands([nvcc(), *_NVCC_FLAGS], cuda_sources, objects)
            cxx.append("-DTF_STUDENT_CUDA")
        commands |= _commands(cxx, _sources(), objects)
        compiled = _compile(commands, jobs)
        _link(nvcc() if cuda else cxx[0], tensorflow, compiled, output, portable)


def _output(output_dir: str | os.PathLike, version: str) -> pathlib.Path:
    """The library's path in its folder, which is created."""
    output = pathlib.Path(output_dir) / library_name(version)
    output.parent.mkdir(parents=True, exist_ok=True)
    return output


def _remove_others(output: pathlib.Path) -> None:
    """Removes the libraries for other versions beside this one."""
    for other in output.parent.glob(library_name("*")):
        if other != output:
            other.unlink()


def take(library: str | os.PathLike, output_dir: str | os.PathLike) -> str:
    """Copies a library that was built before in place of building it.

    Args:
        library: its path; the name must be that for the installed TensorFlow.
        output_dir: as for `build`.

    Returns:
        A sentence on what was copied.

    Raises:
        BuildError: if there is no such library, or it is for another TensorFlow.
    """
    library = pathlib.Path(library)
    output = _output(output_dir, _tensorflow()[1])
    if library.name != output.name or not library.is_file():
        raise BuildError(
            f"`TF_STUDENT_OP_LIBRARY` must be a file {output.name}. "
            f"Received: TF_STUDENT_OP_LIBRARY={library}."
        )
    if not output.exists() or not output.samefile(library):
        shutil.copyfile(library, output)
    _remove_others(output)
    return f"{library} was taken."


def build(
    output_dir: str | os.PathLike, jobs: int | None = None, *, portable: bool = False
) -> str:
    """Builds the library in a folder and removes libraries for other versions.

    Args:
        output_dir: the folder; created if it is missing.
        jobs: number of parallel compilers; by default the number of cores.
        portable: looks for TensorFlow only beside the installed package, not also where
            it is during this build.

    Returns:
        A sentence on what was built.

    Raises:
        BuildError: if a compiler or TensorFlow is missing, or the compilation fails.
    """
    if compiler() is None:
        raise BuildError("no C++ compiler was found")
    tensorflow, version = _tensorflow()
    output = _output(output_dir, version)
    jobs = jobs or os.cpu_count()
    devices = "CPU, XLA and CUDA"
    try:
        if nvcc() is None:
            raise CudaError("nvcc was not found")
        _build_for(True, tensorflow, output, jobs, portable)
    except CudaError as error:
        devices = f"CPU and XLA, not CUDA: {error}"
        _build_for(False, tensorflow, output, jobs, portable)
    _remove_others(output)
    return f"{output.name} was built for {devices}."


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output_dir", type=pathlib.Path)
    parser.add_argument("--jobs", type=int)
    args = parser.parse_args()
    try:
        print(build(args.output_dir, args.jobs))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
