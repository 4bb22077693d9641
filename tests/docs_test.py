"""The Python of the README and of the documentation runs, on the smallest system.

A block that cannot run here is marked on the line before it: `not run: reason`.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

import tf_student as ts
from tests.tiny_run import TINY
from tf_student.presets import systems

ROOT = Path(__file__).parents[1]
# Pages that make their runs themselves; all others speak of runs that exist.
FROM_SCRATCH = ("README.md",)


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page that are to be run, in their order."""
    lines, code, found = page.read_text().splitlines(), None, []
    for number, line in enumerate(lines):
        if line == "```python":
            code = [] if "not run:" not in lines[number - 1] else None
        elif line == "```":
            if code is not None:
                found.append("\n".join(code) + "\n")
            code = None
        elif code is not None:
            code.append(line)
    return found


PAGES = [p for p in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")] if blocks(p)]


@pytest.fixture(scope="module")
def runs(demo_run, tmp_path_factory):
    """A folder with finished runs of `digits`, on the smallest system."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(demo_run.directory, folder / "runs" / "digits")
    pairs = str(folder / "runs" / "digits" / "pairs")
    shutil.rmtree(pairs)
    # Pages make pairs with the default options of the devices.
    ts.make_pairs(demo_run.teacher, pairs, config=TINY.pairs, sampler=TINY.sampler)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_python_of_a_page_runs(page, runs, tmp_path, monkeypatch):
    monkeypatch.setitem(systems.PRESETS, "digits", TINY)
    if str(page.relative_to(ROOT)) not in FROM_SCRATCH:
        shutil.copytree(runs / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for number, code in enumerate(blocks(page)):
        exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


def test_links_to_files_resolve():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    missing = []
    for page in pages:
        # Code has brackets of its own.
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not os.path.exists(page.parent / target):
                missing.append(f"{page.name}: {target}")
    assert missing == []
