"""Copies TensorFlow.js from its npm packages into the package, unmodified.

    python third_party/tensorflowjs/update.py          # the version below
    python third_party/tensorflowjs/update.py 4.23.0   # another one

It needs npm, which checks what it downloads. `files.json` beside the copies names the
packages, npm's digests of them and the SHA-256 of each copy; a test compares them.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

VERSION = "4.22.0"
ROOT = pathlib.Path(__file__).parents[2]
TARGET = ROOT / "tf_student" / "serving" / "page" / "tensorflowjs"
PACKAGES = {
    "@tensorflow/tfjs-core": ["tf-core.es2017.min.js"],
    "@tensorflow/tfjs-converter": ["tf-converter.es2017.min.js"],
    "@tensorflow/tfjs-backend-wasm": [
        "tf-backend-wasm.es2017.min.js",
        "tfjs-backend-wasm.wasm",
        "tfjs-backend-wasm-simd.wasm",
    ],
}


def fetch(package: str, version: str, names: list[str]) -> dict:
    """Copies files of a package's `dist`, and returns what is known about them."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--json", f"{package}@{version}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        (packed,) = json.loads(done.stdout)
        (archive,) = pathlib.Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            about = json.load(files.extractfile("package/package.json"))
            contents = {n: files.extractfile(f"package/dist/{n}").read() for n in names}
    for name, content in contents.items():
        (TARGET / name).write_bytes(content)
    return {
        "package": package,
        "version": about["version"],
        "license": about["license"],
        "integrity": packed["integrity"],
        "sha256": {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()},
    }


def main(version: str) -> None:
    """Copies all packages."""
    TARGET.mkdir(exist_ok=True)
    copied = [fetch(package, version, names) for package, names in PACKAGES.items()]
    (TARGET / "files.json").write_text(json.dumps(copied, indent=2) + "\n")
    (TARGET / "LICENSE").write_bytes((ROOT / "LICENSE").read_bytes())


if __name__ == "__main__":
    main(*(sys.argv[1:] or [VERSION]))
