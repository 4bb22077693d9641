"""Configuration of the documentation: `make docs` builds it, without a network."""

import dataclasses
import os
import re

# TensorFlow's log of its start says nothing about the documentation.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.util import inspect

import tf_student
from tf_student.serving import web

project = "tf-student"
author = "the tf-student authors"
release = version = tf_student.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

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
# student/ has the model of the page that docs/browser.md embeds.
html_static_path = ["_static"]

# Browsers draw MathML themselves, so formulas need no network and no script.
html_math_renderer = "mathml"


def _write_mathml(translator, node) -> None:
    as_block = isinstance(node, nodes.math_block)
    formula = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    if as_block:
        formula = f'<div style="margin: 1.2em 0; font-size: 115%">{formula}</div>'
    translator.body.append(formula)
    raise nodes.SkipNode


def _escape(text: str) -> str:
    """Docstrings use | for absolute values and names that end in _ or have a *."""
    return re.sub(r"\||\*|_(?![\w`])", r"\\\g<0>", text)


def _document_options(app, what, name, obj, options, lines) -> None:
    """Lists the fields of a config dataclass with the text of their flags."""
    # Names of arguments may continue on a second line, which napoleon does not read.
    joined = re.sub(r",\n {4,}(?=[\w, ]+: )", ", ", "\n".join(lines)).splitlines()
    lines[:] = [t if ">>>" in t else t.replace("|", r"\|") for t in joined]
    if what != "class" or not dataclasses.is_dataclass(obj) or "Args:" in lines:
        return
    fields = [field for field in dataclasses.fields(obj) if "doc" in field.metadata]
    lines += ["", "Args:"] if fields else []
    for field in fields:
        text = _escape(field.metadata["doc"])
        if choices := field.metadata.get("choices"):
            text += f" One of: {', '.join(f'``{choice}``' for choice in choices)}."
        if field.metadata.get("advanced"):
            text += " The flag is advanced: see ``--helpfull``."
        lines.append(f"    {field.name}: {text}")


def _show_init(app, what, name, obj, options, signature, returned):
    """Keras hides the arguments of a model's constructor behind `__new__`."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    own = inspect.signature(obj.__init__, bound_method=True)
    return inspect.stringify_signature(own, unqualified_typehints=True), None


def _copy_student_page(app, exception) -> None:
    """Copies the page beside its model, from the package, so that they fit."""
    if exception is None:
        web.copy_page(os.path.join(app.outdir, "_static", "student"))


def setup(app) -> None:
    """Called by Sphinx; priority 1 is before napoleon, which formats the list."""
    app.connect("build-finished", _copy_student_page)
    app.add_html_math_renderer("mathml", (_write_mathml, None), (_write_mathml, None))
    app.connect("autodoc-process-docstring", _document_options, priority=1)
    app.connect("autodoc-process-signature", _show_init)
