"""`recipe = "original"` in chapters 3 and 4 runs the original tutorial's settings.

Only the cells that it takes, and in chapter 4 one epoch of the 25.
"""

import re

import nbformat
import pytest
import test_notebooks
from nbclient import NotebookClient


def run(chapter, ids, extra, monkeypatch):
    """Run some cells by the original's settings, `extra` after some; return what they print."""
    monkeypatch.setenv("EDITION", "rendered")
    notebook = nbformat.read(test_notebooks.PATHS[chapter - 1], as_version=4)
    by_id = {cell.id: cell for cell in notebook.cells}
    notebook.cells = [by_id[f"cell-{name}"] for name in ids]
    for cell in notebook.cells:
        cell.source = cell.source.replace('recipe = "ours"', 'recipe = "original"')
        cell.source += extra.get(cell.id.removeprefix("cell-"), "")
    folder = {"metadata": {"path": str(test_notebooks.ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=1200, resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


def share(start, text):
    return float(re.search(rf"{re.escape(start)}\s*([\d.]+) ?%", text)[1])


def test_chapter_3(monkeypatch):
    text = run(3, ["01", "03", "05", "09", "26a"], {}, monkeypatch)
    assert text.count("epoch ") >= 5 and "epoch  5/5" in text
    assert 30 < share("by the original's settings:", text) < 60  # raw, 32 px: heads reach 50


def test_chapter_4(monkeypatch):
    extra = {
        "03b": "\nnum_epochs = 1",
        "17": "\nprint(make_scheduler(optimizer).step_size, optimizer.param_groups[0]['lr'])",
    }
    ids = ["01", "03", "03b", "04a", "08a", "05", "11", "13", "17"]
    text = run(4, ids, extra, monkeypatch)
    assert "25 epochs, 224 pixels, 4 pictures a batch" in text
    assert "7 0.001" in text
    assert share("test:", text) == pytest.approx(75, abs=20)
