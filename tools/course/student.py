"""Write copies of the chapters for students, without solutions and outputs, and the key apart.

    students/    for the students, and the same as students.zip
    key/         with each solution behind its exercise, and the same as key.zip

The cells in which a student answers keep the ids that they have in the book, and an open exercise
gets an empty one: that is how `check` finds the answers.
"""

import sys
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from helpers.runtime import atomic_write
from tools.course import myst
from tools.course.archives import pack_chapters
from tools.course.chapters import chapters
from tools.course.exercises import PROMPT, read_chapter
from tools.course.plain import plain_notebook

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
    exercises = {each.label: each for each in read_chapter(path).exercises}
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            continue
        for found in myst.directives(cell.source, "exercise"):
            if not (exercise := exercises[found.options["label"]]).source:
                cells.append(new_markdown_cell(PROMPT, id=exercise.cell))
    notebook.cells = cells
    notebook = plain_notebook(path, notebook)
    labels = {each.cell: each.label for each in exercises.values()}
    for cell in notebook.cells:
        if cell.id in labels:
            cell.metadata["exercise"] = labels[cell.id]
    return notebook


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Take all solutions out of a notebook, with the cells that hold nothing else."""
    texts: dict[str, str] = {}
    for cell, _, in_solution, text in myst.pieces(notebook.cells):
        for whole in myst.directives(text, "solution") if cell.cell_type == "markdown" else []:
            text = text.replace(whole.source, "")
        kept = "" if in_solution else text
        texts[cell.id] = f"{texts.get(cell.id, '')}\n{kept}"
    for cell in notebook.cells:
        cell.source = texts[cell.id].replace(OF_SOLUTIONS, "").strip()
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook


def write_copies(folder: Path, notebooks: dict[str, str]) -> None:
    """Write notebooks, by the names of their files, into a folder, and into a zip beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in notebooks.items():
        with atomic_write(folder / name) as aside:
            aside.write_text(text, "utf8")
    pack_chapters(folder.with_suffix(".zip"), notebooks)


def main(out: Path) -> int:
    """Write the copies and the key into a folder; return the exit status."""
    makers = {"students": student_copy, "key": partial(plain_notebook, last=False)}
    names = [*makers, *(f"{name}.zip" for name in makers)]
    if not (out / README).exists() and any((out / name).exists() for name in names):
        print(f"{out} has files that are not of this: name another folder", file=sys.stderr)
        return 1
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / README).write_text(ABOUT, "utf8")
        for name, make in makers.items():
            copies = {path.name: nbformat.writes(make(path)) for path in chapters()}
            write_copies(out / name, copies)
    except OSError as error:
        print(f"The copies are not all written: {error}", file=sys.stderr)
        return 1
    print(f"For the students: {out / 'students'}, and as students.zip. The key: {out / 'key'}.")
    return 0
