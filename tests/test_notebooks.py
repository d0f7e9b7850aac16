"""What every notebook must look like; that they run is for nbval to see."""

import csv
import inspect
import re
from pathlib import Path

import nbformat
import pytest

from helpers import assets, data, recipe

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_five():
    assert [path.stem[:2] for path in PATHS] == ["01", "02", "03", "04", "05"]


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
        assert len(cell.source.splitlines()) <= 18, cell.source


def test_figures_have_alternative_text(notebook):
    for cell in code_cells(notebook):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert cell.metadata.get("mystnb", {}).get("image", {}).get("alt"), cell.source


def test_exercises_have_solutions_and_a_box_opens_and_closes(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    exercises = re.findall(r":label: (ex-\S+)", prose)
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)", prose)
    assert exercises and exercises == solutions
    assert prose.count("{solution-start}") == prose.count("{solution-end}")
    assert ":class: chapter-box" in prose and ":class: key-points" in prose


def test_nothing_is_left_unfinished(notebook):
    for cell in notebook.cells:
        assert not re.search(r"OBSERVATION_|PHOTOS\d|\bTIME\d|TODO|FIXME", cell.source)


def test_parameters_are_in_one_cell_at_most(notebook):
    tagged = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) <= 1


def defaults(function):
    parameters = inspect.signature(function).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def test_the_settings_of_the_chapters_are_those_of_the_shared_recipe():
    """The tables come from `helpers.recipe`; chapters 3, 4 and 5 name its settings."""
    shared = defaults(recipe.train_network) | defaults(data.image_folders)
    shared["size"] = assets.input_size()
    for path, expected in zip(
        PATHS[2:], (defaults(recipe.train_head), shared, shared), strict=True
    ):
        (cell,) = (c for c in code_cells(nbformat.read(path, as_version=4))
                   if "parameters" in c.metadata.get("tags", []))  # fmt: skip
        settings = {"assets": assets}
        exec(cell.source, settings)
        names = expected.keys() & settings.keys() - {"__builtins__"}
        assert len(names) > 2
        assert {n: settings[n] for n in names} == {n: expected[n] for n in names}, path.stem


def printed(chapter, start):
    """Return the first share, in per cent, of the line of a chapter's output that begins so."""
    for cell in code_cells(nbformat.read(PATHS[chapter - 1], as_version=4)):
        for output in cell.outputs:
            for line in output.get("text", "").splitlines():
                if line.startswith(start):
                    return re.search(r"([\d.]+)%", line.removeprefix(start))[1]
    raise AssertionError(f"chapter {chapter} prints no {start!r}")


SAME_RUNS = [  # how the table names a training, and where the chapters print its test accuracy
    ("ants and bees, 96 px", "frozen", [(5, "frozen ")]),
    ("ants and bees, 96 px", "fine-tuned", [(4, "test: "), (5, "fine-tuned ")]),
    ("ants and bees, 96 px", "from scratch", [(5, "from scratch ")]),
    ("ten classes", "frozen, 64 px", [(3, "frozen, 64 px ")]),
    ("ten classes", "fine-tuned, 32 px", [(3, "fine-tuned, 32 px ")]),
]


@pytest.mark.parametrize(("pictures", "training", "places"), SAME_RUNS)
def test_the_same_run_has_the_same_number_everywhere(pictures, training, places):
    with (ROOT / "book" / "renders.csv").open(encoding="utf8") as file:
        rows = {(row["pictures"], row["training"]): row for row in csv.DictReader(file)}
    measured = f"{100 * float(rows[pictures, training]['seed 0']):.1f}"
    for chapter, start in places:
        assert printed(chapter, start) == measured, f"chapter {chapter}"


def test_numbers_said_of_the_photographs_are_those_measured():
    """The prose quotes book/photographs.csv, which tools/measure/measure_photographs.py writes."""
    measured = (ROOT / "book" / "photographs.csv").read_text("utf8")
    quoted = []
    for path in PATHS:
        for cell in nbformat.read(path, as_version=4).cells:
            if "{admonition} On photographs" in cell.source:
                quoted += re.findall(r"0\.\d{3}", cell.source)
    assert quoted
    assert not [number for number in quoted if number not in measured]
