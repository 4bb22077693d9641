"""Configuration of the documentation: `make docs` builds it, without a network."""

import dataclasses
import os
import pathlib
import re

# TensorFlow's log of its start says nothing about the documentation.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tf_student

project = "tf-student"
author = "the tf-student authors"
release = version = tf_student.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_static"]

# Docstrings mark code with single backticks.
default_role = "code"
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "sphinx_book_theme"
html_title = f"tf-student {release}"
html_theme_options = {"show_toc_level": 2, "show_navbar_depth": 1}
html_copy_source = False

# Browsers load MathJax from its public server. A copy in docs/_static/mathjax, which is
# not part of the repository, makes formulas readable without a network.
if pathlib.Path(__file__).with_name("_static").joinpath("mathjax").is_dir():
    html_static_path = ["_static"]
    mathjax_path = "mathjax/tex-mml-chtml.js"


def _escape(text: str) -> str:
    """Docstrings use | for absolute values and names that end in _ or have a *."""
    return re.sub(r"\||\*|_(?![\w`])", r"\\\g<0>", text)


def _document_options(app, what, name, obj, options, lines) -> None:
    """Lists the fields of a config dataclass with the text of their flags."""
    lines[:] = [line if ">>>" in line else line.replace("|", r"\|") for line in lines]
    if what != "class" or not dataclasses.is_dataclass(obj) or "Args:" in lines:
        return
    fields = [field for field in dataclasses.fields(obj) if "doc" in field.metadata]
    lines += ["", "Args:"] if fields else []
    for field in fields:
        text = _escape(field.metadata["doc"])
        if choices := field.metadata.get("choices"):
            text += f" One of: {', '.join(f'``{choice}``' for choice in choices)}."
        lines.append(f"    {field.name}: {text}")


def setup(app) -> None:
    """Called by Sphinx; 1 is before napoleon, which formats the list."""
    app.connect("autodoc-process-docstring", _document_options, priority=1)
