"""What every notebook must look like; that they run is for nbval to see."""

import re
from pathlib import Path

import measure_photographs
import nbformat
import pytest

from helpers import assets

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


def test_ants_and_bees_are_measured_with_the_settings_of_the_chapters():
    """The tables of two pages come from tools/measure/measure_*.py; chapters 4 and 5 quote them."""
    for path in PATHS[3:]:
        tags = {tag: cell for cell in code_cells(nbformat.read(path, as_version=4))
                for tag in cell.metadata.get("tags", [])}  # fmt: skip
        settings = {"assets": assets}
        exec(tags["parameters"].source, settings)
        names = ("batch_size", "num_epochs", "lr", "head_lr")
        assert {name: settings[name] for name in names} == {
            name: getattr(measure_photographs, name.upper()) for name in names
        }
        assert settings["size"] == assets.input_size()


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
