"""A model with the fused op, in C++ programs built by Bazel with and without it."""

import os

import pytest

from tf_student.serving import native

_REQUEST = "sample /dev/null seed=int64::7 count=int32::4"

if "LOADERS" not in os.environ:
    pytest.skip("Bazel builds the programs: make bazel", allow_module_level=True)


def _loader(name):
    runfiles = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
    return os.path.join(runfiles, os.environ["LOADERS"], name)


def test_program_with_the_op_answers(fused_directory):
    program = _loader("load_saved_model_with_op")
    assert native.run(program, fused_directory, [_REQUEST]) == ["OK uint8 [4,8,8,3]"]


def test_program_without_it_says_what_is_missing(fused_directory):
    (status,) = native.run(_loader("load_saved_model"), fused_directory, [_REQUEST])
    assert "Op type not registered 'TfStudent>" in status


def test_stock_model_needs_no_op(directory):
    program = _loader("load_saved_model")
    assert native.run(program, directory, [_REQUEST]) == ["OK uint8 [4,8,8,3]"]
