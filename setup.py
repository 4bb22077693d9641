"""Maps the folders of the repository to the one import name, `tf_student`."""

import setuptools

FOLDERS = {"tf_student.custom_ops": "custom_ops", "tf_student.flags": "flags"}


def subpackages(name: str, folder: str) -> list[str]:
    """`name` and the packages below its folder."""
    return [name] + [f"{name}.{p}" for p in setuptools.find_packages(folder)]


setuptools.setup(
    packages=subpackages("tf_student", "tf_student")
    + [p for name, folder in FOLDERS.items() for p in subpackages(name, folder)],
    package_dir={"tf_student": "tf_student", **FOLDERS},
    package_data={
        "tf_student": ["data/*.npz"],
        "tf_student.flags": ["recipes/*.flags"],
    },
)
