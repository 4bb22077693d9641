"""The installed TensorFlow wheel's headers and libraries as a repository."""

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "tensorflow",
    srcs = [
        "libtensorflow_cc.so.2",
        "libtensorflow_framework.so.2",
    ],
    hdrs = glob(["include/**"]),
    defines = [
        "EIGEN_MAX_ALIGN_BYTES=64",
        "_GLIBCXX_USE_CXX11_ABI=1",
    ],
    includes = [
        "include",
        # XLA's headers include these two from where TensorFlow's own build keeps them.
        "include/external/farmhash_archive/src",
        "include/external/highwayhash",
    ],
)
"""

# Finds the package without the seconds of an import.
_FIND = """
import importlib.metadata, importlib.util, pathlib
print(pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent)
print(importlib.metadata.version("tensorflow"))
"""

def _installed_tensorflow_impl(ctx):
    python = ctx.os.environ.get("PYTHON_BIN_PATH") or str(ctx.which("python3"))
    result = ctx.execute([python, "-c", _FIND])
    if result.return_code:
        fail("TensorFlow is not installed for %s:\n%s" % (python, result.stderr))
    folder, version = result.stdout.strip().split("\n")
    ctx.symlink(folder + "/include", "include")
    for library in ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]:
        ctx.symlink(folder + "/" + library, library)
    ctx.file("version.bzl", "VERSION = %r\n" % version)
    ctx.file("BUILD", _BUILD)

installed_tensorflow = repository_rule(
    implementation = _installed_tensorflow_impl,
    environ = ["PYTHON_BIN_PATH", "PATH"],
    local = True,
)
