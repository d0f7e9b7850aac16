"""What students have handed in: which files, of which chapter, and in them the answers.

Nothing here trusts a file: it may be anything, and is only read.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.course.exercises import Chapter, Exercise

LARGEST = 20_000_000  # bytes
ENDS = re.compile(r"\A## |^[^\w\n]*(?:solution-start|Solution)\b", re.M)  # what ends an answer


class HandIn(NamedTuple):
    """One file of a student: the chapter that it is and its cells, or what is wrong with it."""

    student: str
    path: Path
    chapter: Chapter | None = None
    cells: tuple[dict, ...] = ()
    problem: str = ""


def find(folder: Path, chapters: list[Chapter]) -> Iterator[HandIn]:
    """Give what every student has handed in: what lies in a folder, or one file."""
    for entry in visible(folder):
        if entry.is_symlink() or not entry.is_dir():
            found = read(entry.stem, entry, chapters)
            name = entry.stem.replace(found.chapter.stem, "") if found.chapter else entry.stem
            name = re.sub(r"\(\d+\)", "", name).strip(" _-")
            yield found._replace(student=name or folder.resolve().name)
            continue
        files = list(all_files(entry))
        yield from (read(entry.name, path, chapters) for path in files)
        if not files:
            yield HandIn(entry.name, entry, problem="the folder is empty")


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, but for what editors and systems hide."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))


def all_files(folder: Path) -> Iterator[Path]:
    """Give the files and links in a folder and in its folders; follow no link."""
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():
            yield from all_files(path)
        else:
            yield path


def read(student: str, path: Path, chapters: list[Chapter]) -> HandIn:
    """Read a file, whatever it is."""
    try:
        if path.is_symlink():
            raise ValueError("a link, which is not followed: hand in the file itself")
        if path.suffix.lower() != ".ipynb" or not path.is_file():
            raise ValueError("not a notebook: expected a file that ends in .ipynb")
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST / 1e6:.0f} MB: hand it in without outputs")
        metadata, cells = read_cells(path)
        return HandIn(student, path, chapter_of(metadata, cells, chapters), tuple(cells))
    except (OSError, ValueError) as error:
        return HandIn(student, path, problem=str(error))


def read_cells(path: Path) -> tuple[dict, list[dict]]:
    """Return a notebook's metadata and its cells; raise a ValueError if it is no notebook."""
    try:
        notebook = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a notebook: no JSON ({error})") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("not a notebook of version 4: it has no list of cells")
    return dictionary(notebook.get("metadata")), [read_cell(cell) for cell in notebook["cells"]]


def read_cell(cell: object) -> dict:
    """Return a cell's id, label, type and source; raise a ValueError if it is none."""
    if not isinstance(cell, dict):
        raise ValueError("not a notebook: one of its cells is none")
    source, metadata = cell.get("source"), dictionary(cell.get("metadata"))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    return {
        "id": str(cell.get("id", metadata.get("id"))),
        "label": str(metadata.get("exercise")),
        "type": cell.get("cell_type"),
        "source": text.encode("utf8", "replace").decode("utf8"),  # no half characters
    }


def dictionary(value: object) -> dict:
    """Return a dictionary as it is, and instead of anything else an empty one."""
    return value if isinstance(value, dict) else {}


def chapter_of(metadata: dict, cells: list[dict], chapters: list[Chapter]) -> Chapter:
    """Say which chapter a notebook is: by its metadata, or else by the titles of its exercises.

    Raises a ValueError if it is none.
    """
    stem = str(dictionary(metadata.get("course")).get("chapter"))
    text = "\n".join(cell["source"] for cell in cells if cell["type"] == "markdown")
    for chapter in chapters:
        if chapter.stem == stem:
            return chapter
    likeliest = max(chapters, key=lambda chapter: len(titled(text, chapter)))
    if not titled(text, likeliest):
        raise ValueError("no chapter of this book: none of its exercises is there")
    return likeliest


def titled(text: str, chapter: Chapter) -> list[Exercise]:
    """Return the exercises that a text begins, in MyST or in plain Markdown.

    Only the words of a line count: editors change the signs around them.
    """
    lines = set(map(words, text.split("\n")))
    return [each for each in chapter.exercises if words(f"exercise {each.title}") in lines]


def words(line: str) -> str:
    """Return the words of a line in small letters, with nothing else between them."""
    return " ".join(re.findall(r"\w+", line.lower()))


def answers_in(cells: tuple[dict, ...], chapter: Chapter) -> dict[str, list[dict]]:
    """Return the cells of each answer, by the label of the exercise.

    They are the cell for the answer, and all that a student has put between the text of the
    exercise and the next cell of the book. Some editors give new ids to all cells. So a cell for an
    answer is also known by its metadata, and the text of an exercise by its title.
    """
    known = {each.cell: each for each in chapter.exercises}
    known |= {each.label: each for each in chapter.exercises}
    found: dict[str, list[dict]] = {}
    current = None
    for cell in cells:
        text = cell["source"] if cell["type"] == "markdown" else ""
        if exercise := known.get(cell["id"]) or known.get(cell["label"]):
            current = exercise
        elif begun := titled(text, chapter):
            current = begun[-1]
            continue
        elif cell["id"] in chapter.ids or ENDS.search(text):
            current = None
        if current:
            found.setdefault(current.label, []).append(cell)
    return found
