"""What every notebook must look like; that they run is for nbval to see."""

import ast
import csv
import inspect
import re
from pathlib import Path
from statistics import mean

import nbformat
import pytest

from helpers import assets, data, recipe, training
from tools.measure import write_tables

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_their_numbers_are_their_order():
    assert [path.stem[:2] for path in PATHS] == [f"{i:02}" for i, _ in enumerate(PATHS, 1)]


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
        if isinstance(node, ast.ImportFrom) and node.module.startswith("helpers")
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


def test_the_imports_are_folded_on_the_page_and_in_jupyterlab(notebook):
    first = code_cells(notebook)[0].metadata
    assert first.tags == ["hide-input"] and first.jupyter == {"source_hidden": True}


def test_solutions_are_folded_in_jupyterlab_too(notebook):
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


def test_exercises_have_solutions_and_a_box_opens_and_closes(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    exercises = re.findall(r":label: (ex-\S+)", prose)
    assert 3 <= len(exercises) <= 5
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)", prose)
    assert exercises and exercises == solutions
    assert prose.count("{solution-start}") == prose.count("{solution-end}")
    assert ":class: chapter-box" in prose and ":class: key-points" in prose


def test_the_functions_that_chapter_two_shows_are_those_of_today():
    notebook = nbformat.read(PATHS[1], as_version=4)
    shown = {}
    for cell in code_cells(notebook):
        if name := re.search(r"^show\(training\.(\w+)\)$", cell.source, re.MULTILINE):
            shown[name[1]] = cell.outputs[0].data["text/markdown"]
    assert list(shown) == ["train_one_epoch", "evaluate", "fit"]
    for name, text in shown.items():
        source = inspect.getsource(getattr(training, name))
        assert text == f"```python\n{source}```", f"run chapter 2 again: {name} has changed"


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
        PATHS[2:5], (defaults(recipe.train_head), shared, shared), strict=True
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


SAME_RUNS = [  # how runs.csv names a run, and where the chapters print what it measured
    ("ants and bees", "frozen", "test accuracy", [(5, "frozen ")]),
    ("ants and bees", "frozen", "best validation accuracy", [(5, "best validation accuracy ")]),
    ("ants and bees", "fine-tuned", "test accuracy", [(4, "test: "), (5, "fine-tuned ")]),
    ("ants and bees", "from scratch", "test accuracy", [(5, "from scratch ")]),
    ("ants and bees", "first epoch, during", "training accuracy", [(4, "in the epoch ")]),
    ("ten classes", "head, 64 px", "test accuracy", [(3, "frozen, 64 px: ")]),
    ("ten classes", "head, raw, 32 px", "best validation accuracy", [(3, "raw, 32 px ")]),
]


@pytest.mark.parametrize(("pictures", "run", "measure", "places"), SAME_RUNS)
def test_the_same_run_has_the_same_number_everywhere(pictures, run, measure, places):
    with (ROOT / "book" / "runs.csv").open(encoding="utf8") as file:
        (value,) = (
            float(row["value"])
            for row in csv.DictReader(file)
            if [row[key] for key in ("pictures", "edition", "run", "measure", "seed")]
            == [pictures, "rendered", run, measure, "0"]
        )
    for chapter, start in places:
        assert printed(chapter, start) == f"{100 * value:.1f}", f"chapter {chapter}"


def test_tables_and_boxes_hold_what_was_measured():
    runs = write_tables.Runs()
    lines = write_tables.all_lines(runs)
    found = []
    for path in [*PATHS, *sorted((ROOT / "book").glob("*.md"))]:
        text = path.read_text("utf8")
        if path.suffix == ".ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert write_tables.filled(text, lines) == text, f"{path.name}: write_tables.py"
        assert "(table)" not in text
        found += re.findall(r":name: (saw-[\w-]+)", text)
    assert set(found) == lines.keys()
    tables = {"renders": write_tables.renders(runs)}
    for name, result in write_tables.RESULTS.items():
        tables[name] = write_tables.photographs(runs, result)
    for name, rows in tables.items():
        with (ROOT / "book" / f"{name}.csv").open(encoding="utf8") as file:
            assert list(csv.reader(file)) == rows, f"{name}.csv: write_tables.py"


def measured(edition, run, measure, pictures=write_tables.ANTS):
    """Return the values of all seeds of a run, in their order."""
    found = write_tables.Runs().values(pictures, edition, run, measure)
    return [found[seed] for seed in sorted(found)]


def test_what_chapter_six_says_of_the_labels_was_measured():
    for edition, measure, ahead in (("rendered", "test", 20), ("photos", "validation", 17)):
        (head,) = set(measured(edition, "head, ResNet-18", f"{measure} accuracy"))
        few = measured(edition, "5 a class, Lite0", f"{measure} accuracy")
        assert len(few) == 20 and mean(few) > head
        assert sum(share > head for share in few) == ahead


def test_the_landing_page_quotes_the_results_on_photographs():
    with (ROOT / "book" / "photographs_ants_lite0.csv").open(encoding="utf8") as file:
        (row,) = (row for row in csv.reader(file) if row[0] == "head")
    welcome = (ROOT / "book" / "welcome.md").read_text("utf8")
    assert f"frozen network from ImageNet is right on {row[1].replace(chr(160), ' ')}," in welcome


def test_the_seeds_on_photographs_are_as_many_as_the_page_says():
    runs = write_tables.Runs()
    for result, seeds in zip(write_tables.RESULTS.values(), (5, 5, 5, 5), strict=True):
        for strategy in write_tables.STRATEGIES.values():
            name = f"{strategy}, {result.backbone}"
            values = runs.values(result.pictures, "photos", name, result.measure)
            assert len(values) in (seeds, 0), (result, strategy)


FIXED = ("normalization", "low rank", "last stage", "all", "all, new head")


def test_what_chapter_six_says_of_the_ladder_was_measured():
    last = "last validation accuracy"
    for strategy in (*FIXED, "all, batch statistics", "normalization, batch statistics"):
        against = f"{strategy}, ResNet-18 ~ head, ResNet-18"
        assert min(measured("photos", against, "p")) > 0.05, strategy
    for strategy in FIXED:
        assert min(measured("photos", f"{strategy}, Lite0 ~ head, Lite0", "p")) > 0.05, strategy
        gain = mean(measured("photos", f"{strategy}, Lite0", last)) - 0.9346
        assert abs(gain) < 0.02, strategy
    spoiled = "all, batch statistics, Lite0"
    assert max(measured("photos", f"{spoiled} ~ head, Lite0", "p")) < 0.05
    assert mean(measured("photos", spoiled, last)) == pytest.approx(0.9346 - 0.09, abs=0.005)
    strategies = ("head", "normalization", "low rank", "last stage", "all", "all, batch statistics")
    means = [
        mean(measured("rendered", f"{strategy}, ResNet-18", "test accuracy"))
        for strategy in strategies
    ]
    assert means == sorted(means) and means[-1] - means[0] == pytest.approx(0.11, abs=0.005)


def test_what_chapter_six_says_of_the_averages_was_measured():
    for edition, head in (("rendered", 0.99), ("photos", 0.9346)):
        runs = {
            name: mean(measured(edition, f"{run}, Lite0", "accuracy"))
            for name, run in (
                ("moved", "rate 0, averages as it is"),
                ("whole", "rate 0, averages whole pictures"),
                ("again", "rate 0, head again"),
                ("trained", "all, averages as it is"),
                ("back", "all, averages pretraining"),
            )
        }
        assert runs["moved"] <= runs["trained"] + 0.02
        assert runs["whole"] < runs["moved"]
        assert runs["back"] == pytest.approx(head, abs=0.01)
        made_up = (runs["again"] - runs["moved"]) / (head - runs["moved"])
        assert made_up > 0.9 if edition == "rendered" else 0.4 < made_up < 0.6


def test_what_the_page_of_results_says_of_ten_classes_was_measured():
    def points(run):
        return [100 * share for share in measured("photos", run, "test accuracy", write_tables.TEN)]

    for backbone, gain, begun in (("ResNet-18", 7.5, 1), ("Lite0", 3.7, -3)):
        head, whole = points(f"head, {backbone}"), points(f"all, {backbone}")
        assert all(one < other for one, other in zip(head, whole, strict=True))
        assert mean(whole) - mean(head) == pytest.approx(gain, abs=0.05)
        assert mean(whole) - mean(points(f"all, new head, {backbone}")) == pytest.approx(begun, 0.3)
    for run, apart in (("head", 9), ("all", 5)):
        apart_now = mean(points(f"{run}, Lite0")) - mean(points(f"{run}, ResNet-18"))
        assert apart_now == pytest.approx(apart, abs=0.5)
