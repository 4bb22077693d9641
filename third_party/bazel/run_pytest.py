"""Runs test files under Bazel, in a copy of the runfiles laid out as installed.

    run_pytest.py FILE ...

The wheel maps `custom_ops/` and `flags/` into `tf_student`; here copies do, and real
files, so that the package finds the library that Bazel built beside itself.
"""

import os
import pathlib
import shutil
import sys

FOLDERS = {
    "tf_student": "tf_student",
    "custom_ops": "tf_student/custom_ops",
    "flags": "tf_student/flags",
    "tests": "tests",
}


def lay_out(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies the folders to where an installation has them."""
    for name, place in FOLDERS.items():
        if (source / name).is_dir():
            shutil.copytree(source / name, target / place, dirs_exist_ok=True)
        if name != place:
            # Where a checkout has it.
            (target / name).symlink_to(target / place)


def main() -> int:
    """Runs pytest on the named files and returns its status."""
    source = pathlib.Path(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
    target = pathlib.Path(os.environ["TEST_TMPDIR"], "installed")
    lay_out(source, target)
    os.chdir(target)
    # Without the runfiles, whose `tf_student` is the whole workspace.
    runfiles = str(source.parent)
    sys.path[:] = [str(target)] + [p for p in sys.path if not p.startswith(runfiles)]
    os.environ["PYTHONPATH"] = str(target)

    import pytest

    return pytest.main(["-p", "no:cacheprovider", f"--rootdir={target}", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
