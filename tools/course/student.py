"""Write copies of the chapters for students, without solutions and outputs, and the key apart.

    students/    for the students, and the same as students.zip
    key/         with each solution behind its exercise, and the same as key.zip

The cells in which a student answers keep the ids that they have in the book, and an open exercise
gets an empty one: that is how `check` finds the answers.
"""

import io
import re
import sys
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools.course.archives import add, write_whole
from tools.course.exercises import EXERCISE, NOTEBOOKS, PROMPT, read_chapter
from tools.course.plain import plain_notebook

START = re.compile(r"^(:{3,})\{solution-start\}.*?^\1 *$", re.M | re.S)
END = re.compile(r"^(:{3,})\{solution-end\}.*?^\1 *$", re.M | re.S)
WHOLE = re.compile(r"^(:{3,})\{solution\}.*?^\1 *$", re.M | re.S)
OF_SOLUTIONS = " Solutions are folded."  # chapter 1 says so, and the copies have none
README = "README.txt"
ABOUT = """\
Made of the course by `make student`, which overwrites what it has made.

students/, students.zip   for the students: hand these out
key/, key.zip             with the solutions

To check what they hand in: make check STUDENT=folder
"""


def student_copy(path: Path) -> NotebookNode:
    """Return a chapter without solutions and outputs, with a cell for every answer."""
    notebook = without_solutions(nbformat.read(path, as_version=4))
    exercises = read_chapter(path).exercises
    empty = {each.label: each.cell for each in exercises if not each.source}
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            labels = [label for _, label in EXERCISE.findall(cell.source) if label in empty]
            cells += [new_markdown_cell(PROMPT, id=empty[label]) for label in labels]
        else:
            cell.outputs, cell.execution_count = [], None
    notebook.cells = cells
    notebook = plain_notebook(path, notebook)
    labels = {each.cell: each.label for each in exercises}
    for cell in notebook.cells:
        if cell.id in labels:
            cell.metadata["exercise"] = labels[cell.id]
    return notebook


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Take all solutions out of a notebook, with the cells that hold nothing else."""
    cells, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source
            if inside and (end := END.search(text)):
                text, inside = text[end.end() :], False
            text = "" if inside else WHOLE.sub("", text).replace(OF_SOLUTIONS, "")
            if start := START.search(text):
                text, inside = text[: start.start()], True
            cell.source = text.strip()
        if cell.source.strip() and not (inside and cell.cell_type == "code"):
            cells.append(cell)
    notebook.cells = cells
    return notebook


def key_copy(path: Path) -> NotebookNode:
    """Return a chapter with its outputs, and each solution behind its exercise."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = END.sub("", START.sub("**Solution**", cell.source))
    return plain_notebook(path, notebook)


def write_copies(out: Path, name: str, notebooks: dict[str, str]) -> None:
    """Write notebooks into a folder of `out`, and into a zip beside it."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for file, text in notebooks.items():
            write_whole(out / name / file, text.encode())
            add(archive, f"{name}/{file}", text.encode())
    write_whole(out / f"{name}.zip", zipped.getvalue())


def main(out: Path) -> int:
    """Write the copies and the key into a folder; return the exit status."""
    makers = {"students": student_copy, "key": key_copy}
    names = [*makers, *(f"{name}.zip" for name in makers)]
    if not (out / README).exists() and any((out / name).exists() for name in names):
        print(f"{out} has files that are not of this: name another folder", file=sys.stderr)
        return 1
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    try:
        write_whole(out / README, ABOUT.encode())
        for name, make in makers.items():
            write_copies(out, name, {path.name: nbformat.writes(make(path)) for path in paths})
    except OSError as error:
        print(f"The copies are not all written: {error}", file=sys.stderr)
        return 1
    print(f"For the students: {out / 'students'}, and as students.zip. The key: {out / 'key'}.")
    return 0
