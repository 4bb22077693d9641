"""The names that `import tf_student` offers, their types and their examples."""

import ast
import doctest
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_student as ts
from tests.tiny_run import TINY

NAMES = [name for name in ts.__all__ if name != "__version__"]


@pytest.fixture(scope="module")
def runs(demo_run, tmp_path_factory):
    """A folder with the runs that the examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("demo", "digits"):
        shutil.copytree(demo_run.directory, folder / "runs" / name)
    return folder


NAMESPACE = {
    **{name: getattr(ts, name) for name in NAMES},
    "ts": ts,
    "tf": tf,
    "np": np,
    "keras": keras,
    "os": os,
    "tiny": TINY,
}
LOADED = {
    "teacher": lambda: ts.Teacher.load("runs/digits/teacher"),
    "student": lambda: ts.Student.load("runs/digits/student"),
    "pairs": lambda: ts.PairSet("runs/digits/pairs"),
}


def namespace(test: doctest.DocTest) -> dict[str, object]:
    """What an example may use without saying so; loads what it does use."""
    words = set(re.findall(r"\w+", "".join(e.source for e in test.examples)))
    used = {name: load() for name, load in LOADED.items() if name in words}
    return {**NAMESPACE, **used}


def examples(name: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = finder.find(getattr(ts, name), name, module=False)
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_docstring_with_a_tested_example(name):
    own = [test for test in examples(name) if test.name == name]
    assert own, f"{name} has no example"
    skips = [e.options.get(doctest.SKIP, False) for e in own[0].examples]
    assert not all(skips)


@pytest.mark.parametrize("name", NAMES)
def test_examples_do_what_they_show(name, runs, monkeypatch):
    monkeypatch.chdir(runs)
    for test in examples(name):
        test.globs = namespace(test)
        said = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=said.append)
        assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("name", NAMES)
def test_public_functions_have_typed_signatures(name):
    value = getattr(ts, name)
    members = [value]
    if inspect.isclass(value):
        members = [
            getattr(member, "__func__", member)
            for attribute, member in vars(value).items()
            if not attribute.startswith("_")
            # Keras' own methods, which Keras does not annotate.
            and not hasattr(keras.Model, attribute)
        ]
    for function in filter(inspect.isfunction, members):
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        untyped = [
            p.name
            for p in parameters
            if p.annotation is p.empty and p.name not in ("self", "cls")
        ]
        assert untyped == [], function
        assert signature.return_annotation is not signature.empty, function


def test_type_checkers_see_the_names_that_exist():
    """The imports for type checkers and the lazy ones are the same."""
    tree = ast.parse(Path(ts.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {n: f"tf_student.{m}" for n, m in ts._MODULES.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'teach'"):
        _ = ts.teach


def test_importing_is_fast_and_imports_no_tensorflow():
    program = (
        "import sys, tf_student\n"
        "assert 'Teacher' in dir(tf_student)\n"
        "print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


KERAS_ORDERS = {
    "before": "import keras, tf_student",
    "after": "import tf_student, keras",
    "never": "import keras",
}


@pytest.mark.parametrize("order", KERAS_ORDERS)
def test_keras_loads_a_saved_student(order, demo_run):
    path = demo_run / "student/model.keras"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{KERAS_ORDERS[order]}\n"
            f"model = keras.models.load_model({path!r})\n"
            "print(type(model).__module__, type(model).__name__)",
        ],
        capture_output=True,
        text=True,
    )
    if order == "never":
        assert "Could not locate class 'Student'" in done.stderr
    else:
        assert done.stdout == "tf_student.models.student Student\n", done.stderr


def test_the_package_passes_mypy():
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary"],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.stdout + done.stderr == ""
