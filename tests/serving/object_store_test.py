"""Exports to a file system without directories that could be renamed.

A local folder stands in for an object store. TensorFlow's `ram://` cannot: it takes
`assets.extra` for a part of `assets`.
"""

import json
import os

import pytest
import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import VerificationError
from tf_student.serving import saved_model, verification, versions


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "is_remote", lambda path: True)
    return str(tmp_path / "export")


def _names(folder):
    return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))


def test_version_is_verified_in_a_copy(model, base, contents, monkeypatch):
    """Its loaders, of which some have no other file systems, get a local copy."""

    def refuse(path):
        with open(path) as file:
            copy = json.load(file)["directory"]
        (temporary,) = _names(base)
        assert temporary.startswith("1.tmp-") and not copy.startswith(base)
        assert contents(copy) == contents(f"{base}/{temporary}")
        raise RuntimeError("not loaded")

    monkeypatch.setattr(verification.environment, "run_isolated", refuse)

    def check(directory):
        verification.verify(
            directory, model.served.generate, model.about.image_shape, thorough=False
        )

    with pytest.raises(VerificationError, match="not loaded"):
        saved_model.write(base, model.served, model.about, check=check)
    assert _names(base) == []


def test_version_appears(model, base):
    directory = saved_model.write(base, model.served, model.about)
    assert directory == f"{base}/1"
    assert _names(base) == ["1", "batching.config", "models.config"]
    sample = tf.saved_model.load(directory).signatures["sample"]
    images = sample(seed=tf.constant(7, tf.int64), count=tf.constant(2))["images"]
    assert images.shape == (2, *model.about.image_shape)


def _killed_after(moves, monkeypatch):
    """Lets a process end, in place of the move after some others."""
    rename, done = tf.io.gfile.rename, []

    def dying(old, new, *arguments, **options):
        if ".tmp-" in old and not new.endswith(".json"):
            if len(done) == moves:
                raise KeyboardInterrupt
            done.append(new)
        rename(old, new, *arguments, **options)

    monkeypatch.setattr(tf.io.gfile, "rename", dying)
    # A killed process removes nothing.
    monkeypatch.setattr(files.leftovers, "remove_path", lambda path: None)
    return done


@pytest.mark.parametrize("moves", range(5))
def test_version_of_a_killed_export_has_no_last_file(base, moves, monkeypatch):
    directory = f"{base}/3"
    with monkeypatch.context() as patch:
        done = _killed_after(moves, patch)
        with pytest.raises(KeyboardInterrupt):
            with files.replacing_directory(directory, "saved_model.pb") as temporary:
                for name in ("saved_model.pb", "a", "variables/b", "variables/c", "d"):
                    tf.io.gfile.makedirs(os.path.dirname(f"{temporary}/{name}"))
                    with tf.io.gfile.GFile(f"{temporary}/{name}", "w") as file:
                        file.write(name)
    assert len(done) == moves
    assert not tf.io.gfile.exists(f"{directory}/saved_model.pb")
    assert versions.newest(base) is None and versions.numbers(base) == []
    versions.remove_leftovers(base)
    assert _names(base) == []


def test_files_keep_their_places(base):
    with files.replacing_directory(f"{base}/1", "z") as temporary:
        tf.io.gfile.makedirs(f"{temporary}/empty")
        for name in ("z", "variables/b", "variables/deep/c"):
            tf.io.gfile.makedirs(os.path.dirname(f"{temporary}/{name}"))
            with tf.io.gfile.GFile(f"{temporary}/{name}", "w") as file:
                file.write(name)
    assert _names(base) == ["1"]
    assert _names(f"{base}/1") == ["empty", "variables", "z"]
    with tf.io.gfile.GFile(f"{base}/1/variables/deep/c") as file:
        assert file.read() == "variables/deep/c"


@pytest.mark.parametrize(
    ("path", "remote"),
    [("gs://bucket/run", True), ("ram://a", True), ("runs/a", False), ("/a:b", False)],
)
def test_scheme_makes_a_path_remote(path, remote):
    assert files.is_remote(path) == remote


def test_files_of_another_file_system_are_moved_and_copied(tmp_path):
    with files.replacing_directory("ram://store/export/1", "z") as temporary:
        for name in ("z", "variables/b"):
            tf.io.gfile.makedirs(os.path.dirname(f"{temporary}/{name}"))
            with tf.io.gfile.GFile(f"{temporary}/{name}", "w") as file:
                file.write(name)
    copy = verification.local_copy("ram://store/export/1", str(tmp_path))
    assert (tmp_path / "model" / "variables" / "b").read_text() == "variables/b"
    assert copy == str(tmp_path / "model") and _names(copy) == ["variables", "z"]
