"""Maps the folders of the repository to one import name, and builds the fused op.

The op's library is built against the TensorFlow that the build sees. Without a C++
compiler the package installs all the same and serves the op by its formula. The
environment variable `TF_STUDENT_OP_LIBRARY` names a library that was built before.
"""

import importlib.util
import os
import pathlib
import sys

import setuptools
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

FOLDERS = {"tf_student.custom_ops": "custom_ops", "tf_student.flags": "flags"}
OP = pathlib.Path("custom_ops/group_norm_silu")


def subpackages(name: str, folder: str) -> list[str]:
    """`name` and the packages below its folder."""
    return [name] + [f"{name}.{p}" for p in setuptools.find_packages(folder)]


def load_builder():
    """The module that compiles the op, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("build_op", OP / "cc" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finished_library() -> str | None:
    """The library that the environment names, which needs no compiler."""
    return os.environ.get("TF_STUDENT_OP_LIBRARY")


class BuildWithOp(build_py):
    """Builds the op's library beside the package's modules."""

    def run(self):
        """Builds; an editable installation takes the library from the sources."""
        super().run()
        folder = OP
        if not self.editable_mode:
            folder = pathlib.Path(self.build_lib, "tf_student", OP)
        builder = load_builder()
        try:
            if finished_library():
                said = builder.take(finished_library(), folder)
            else:
                said = builder.build(folder, portable=not self.editable_mode)
        except builder.BuildError as error:
            if finished_library():
                raise SystemExit(f"tf-student: {error}") from error
            said = f"the fused op was not built and its formula serves: {error}"
        print(f"tf-student: {said}", file=sys.stderr)


class WheelForEveryPython(bdist_wheel):
    """The op's library depends on TensorFlow, not on Python's binary interface."""

    def get_tag(self):
        """The tag for any Python 3, on the platform of the library."""
        return "py3", "none", super().get_tag()[2]


class Distribution(setuptools.Distribution):
    """A wheel with a library is for one platform."""

    def has_ext_modules(self):
        """Whether the library will be there."""
        return bool(finished_library() or load_builder().compiler())


setuptools.setup(
    packages=subpackages("tf_student", "tf_student")
    + [p for name, folder in FOLDERS.items() for p in subpackages(name, folder)],
    package_dir={"tf_student": "tf_student", **FOLDERS},
    package_data={
        "tf_student": ["py.typed"],
        "tf_student.data": ["*.npz"],
        "tf_student.serving": [
            *("*.mjs", "cc/*.cc", "page/*.*", "page/tensorflowjs/*")
        ],
        "tf_student.gallery": ["page.*"],
        "tf_student.flags": ["recipes/*.flags"],
    },
    cmdclass={"build_py": BuildWithOp, "bdist_wheel": WheelForEveryPython},
    distclass=Distribution,
)
