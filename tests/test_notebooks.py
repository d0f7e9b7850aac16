"""What every notebook must look like; that they run is for nbval to see."""

import ast
import inspect
import re
from pathlib import Path

import nbformat
import pytest

from helpers import assets, data, recipe, training

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))  # "Ten minutes", then the chapters


@pytest.fixture(params=PATHS, ids=lambda path: path.stem, scope="module")
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_their_numbers_are_their_order():
    assert [path.stem[:2] for path in PATHS] == [f"{i:02}" for i, _ in enumerate(PATHS)]


def test_stored_outputs_come_from_the_rendered_edition(notebook):
    """Nothing of a photograph may lie in a stored output."""
    text = "".join(o.get("text", "") for o in code_cells(notebook)[0].outputs)
    editions = [line.split()[1] for line in text.splitlines()]
    assert editions == ["rendered"] * 3, "run it with EDITION=rendered"


def test_short_cells_with_prose_between_them(notebook):
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        pair = (before.cell_type, cell.cell_type)
        parameters = "parameters" in cell.metadata.get("tags", [])
        assert pair != ("code", "code") or parameters, cell.source
    for cell in code_cells(notebook):
        folded = "hide-input" in cell.metadata.get("tags", [])  # the imports
        assert len(cell.source.splitlines()) <= 15 or folded, cell.source
        assert max(map(len, cell.source.splitlines())) <= 100, cell.source


def imported(notebook):
    """Name what a notebook imports from helpers."""
    source = code_cells(notebook)[0].source.replace("%config", "# %config")
    return {
        name.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers")
        for name in node.names
    }


def test_a_chapter_brings_at_most_eight_new_names():
    known = {"train_one_epoch", "evaluate", "fit"}  # which chapter 2 builds
    for path in PATHS:
        new = imported(nbformat.read(path, as_version=4)) - known
        assert len(new) <= 8, (path.stem, new)
        known |= new


def test_a_prediction_is_followed_by_a_folded_answer(notebook):
    """The reader commits to a guess before the output, and what it means, can be seen."""
    for cell, answer in zip(notebook.cells, notebook.cells[1:], strict=False):
        for part in cell.source.split(":::{admonition} Predict\n")[1:]:
            box, _, after = part.partition("\n:::")
            assert "?" in box
            if ":name: saw-" in after:  # the answer is a box from several runs
                assert ":class: saw dropdown" in after
                continue
            assert answer.cell_type == "code" and "hide-output" in answer.metadata.tags, box
            assert answer.metadata.jupyter == {"outputs_hidden": True}
            # JupyterLab shows the first line of a folded output: it must not be the answer.
            text = "".join(output.get("text", "") for output in answer.outputs).splitlines()
            assert not text or not re.search(r"\d\.\d|\d ?%|True|False", text[0]), text[0]


def test_imports_and_solutions_are_folded_in_jupyterlab_too(notebook):
    first = code_cells(notebook)[0].metadata
    assert first.tags == ["hide-input"] and first.jupyter == {"source_hidden": True}
    inside = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            inside = "{solution-start}" in cell.source or (
                inside and "{solution-end}" not in cell.source
            )
        elif inside:
            assert cell.metadata.jupyter == {"outputs_hidden": True, "source_hidden": True}


def test_nothing_points_where_jupyterlab_can_not_follow(notebook):
    """It knows no target of another file, no term and no citation: plain links do."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert not re.findall(r"\{(?:cite|ref|numref|term|doc|func)\b[^}]*\}|\[\]\(", prose)
    for target in re.findall(r"\]\((?!https?:)([^)#]*)", prose):
        assert (ROOT / "notebooks" / target).is_file(), target
    for target in re.findall(r"\{figure\} (\S+)", prose):
        assert (ROOT / "notebooks" / target).is_file(), target


def test_figures_have_alternative_text_and_a_caption(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            # SVG is sharp on every screen; JupyterLab shows PNG until a notebook is trusted.
            assert ("image/svg+xml" in data) == ("image/png" in data)
            if "image/svg+xml" in data:
                shown = cell.metadata.mystnb
                assert shown.image.alt and shown.figure.caption and shown.figure.name, cell.source


@pytest.mark.parametrize("path", PATHS[1:], ids=lambda path: path.stem)
def test_exercises_have_solutions_and_a_box_opens_and_closes(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    exercises = re.findall(r":label: (ex-\S+)", prose)
    assert 3 <= len(exercises) <= 5
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)", prose)
    assert exercises and exercises == solutions
    assert prose.count("{solution-start}") == prose.count("{solution-end}")
    assert ":class: chapter-box" in prose and ":class: key-points" in prose


def test_the_function_that_chapter_two_shows_is_that_of_today():
    notebook = nbformat.read(PATHS[2], as_version=4)
    shown = {}
    for cell in code_cells(notebook):
        if name := re.search(r"^show\(training\.(\w+)\)$", cell.source, re.MULTILINE):
            shown[name[1]] = cell.outputs[0].data["text/markdown"]
    assert list(shown) == ["train_one_epoch"]
    for name, text in shown.items():
        source = inspect.getsource(getattr(training, name))
        assert text == f"```python\n{source}```", f"run chapter 2 again: {name} has changed"


def defaults(function):
    parameters = inspect.signature(function).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def test_the_settings_of_the_chapters_are_those_of_the_shared_recipe():
    """The tables come from `helpers.recipe`; chapters 3, 4 and 5 name its settings."""
    shared = defaults(recipe.train_network) | defaults(data.image_folders)
    shared["size"] = assets.input_size()
    for path, expected in zip(
        PATHS[3:6], (defaults(recipe.train_head), shared, shared), strict=True
    ):
        cells = code_cells(nbformat.read(path, as_version=4))
        (cell,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
        settings = {"assets": assets}
        exec(cell.source, settings)
        names = expected.keys() & settings.keys() - {"__builtins__"}
        assert len(names) > 2
        assert {n: settings[n] for n in names} == {n: expected[n] for n in names}, path.stem
