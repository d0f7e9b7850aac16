"""The solutions of the book pass the book's checks, in kernels that run only what they need."""

import csv
import re

import nbformat
import pytest

from tools.course import check, myst, student
from tools.course.chapters import chapters

CHECK = re.compile(r"^check_\w+\(.*\)$", re.M)
PATHS = chapters()[:3]  # the others train whole networks, for many minutes: by hand


def solutions(path):
    """Return the code of each solution by the label of its exercise."""
    found, label = {}, ""
    for piece in myst.pieces(nbformat.read(path, 4).cells):
        if piece.cell.cell_type == "markdown":
            for start in myst.directives(piece.text, "solution-start"):
                label = start.title
        elif piece.in_solution:
            found[label] = CHECK.sub("", piece.text)
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
