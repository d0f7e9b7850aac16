"""The solutions of the book pass the book's checks, in kernels that run only what they need."""

import csv
import re

import nbformat
import pytest

from tools.course import check, exercises, student

CHECK = re.compile(r"^check_\w+\(.*\)$", re.M)
MORE = {  # solutions that give their check the answer and bind no name
    "ex-theory-1": "share = small / large",
    "ex-loops-1": "shows_shuffled_labels, shows_large_weights = False, True",
    "ex-finetune-2": "whole, resumed = run(2), run(2, checkpoint=checkpoint, resume=checkpoint)",
}
# Those of chapters 4 to 6 train whole networks, for many minutes on a busy machine: by hand.
PATHS = sorted(exercises.NOTEBOOKS.glob("*.ipynb"))[:3]


def solutions(path):
    """Return the code of each solution by the label of its exercise."""
    found, label = {}, None
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code" and label:
            found[label] = CHECK.sub("", cell.source) + "\n" + MORE.get(label, "")
        elif cell.cell_type == "markdown":
            started = re.findall(r"\{solution-start\} (\S+)", cell.source)
            label = started[-1] if started else None
    if "ex-cifar-3" in found:  # where the solution is a check
        found["ex-cifar-3"] = "case_a, case_b = 2, 62"
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_solutions_pass(path, tmp_path):
    copy, answers = student.student_copy(path), solutions(path)
    for cell in copy.cells:
        cell.source = answers.get(cell.metadata.get("exercise"), cell.source)
    (tmp_path / "all" / "anna").mkdir(parents=True)
    nbformat.write(copy, tmp_path / "all" / "anna" / path.name)
    assert check.main(tmp_path / "all", tmp_path / "table.csv", 300, 6000) == 0
    with (tmp_path / "table.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    checked = [row for row in rows if row["result"] != "open"]
    assert [row["result"] for row in checked] == ["passed"] * len(answers), checked
