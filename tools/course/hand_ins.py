"""What students have handed in: which files, of which chapter, and in them the answers.

Nothing here trusts a file: it may be anything, and is only read.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.course.exercises import Chapter, Exercise

LARGEST = 20_000_000  # bytes
ENDS = re.compile(r"\A## |^[^\w\n]*(?:solution-start|Solution)\b", re.M)  # what ends an answer
HIDDEN = re.compile(r"(?:^|/)(?:\.|__)")  # by editors and systems
MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)_?")
# Of a copy: by Google Drive, by browsers, by Jupyter and systems; by an LMS, behind a chapter.
MARK = re.compile(r"(?i)^copy (?:\(\d+\) )?of |[ _]?\(\d+\)$|[ _-]+copy ?\d*$|(?<=/)(?:-\d+)+$")


class HandIn(NamedTuple):
    """One file of a student: the chapter that it is and its cells, or what is wrong with it."""

    student: str
    path: Path
    chapter: Chapter | None = None
    cells: tuple[dict, ...] = ()
    problem: str = ""
    copy: int = 0  #: the newest has the highest, where all came at the same moment


def find(folder: Path, chapters: list[Chapter]) -> Iterator[HandIn]:
    """Give what every student has handed in: what lies in a folder, or one file."""
    for entry in sorted(folder.glob("*")):
        name = unicodedata.normalize("NFC", entry.name)
        if HIDDEN.match(name):
            continue
        in_folder = entry.is_dir() and not entry.is_symlink()
        files = all_files(entry) if in_folder else [entry]
        for path in files or [entry]:
            words, copy = without_marks(path.stem, chapters)
            moodle = MOODLE.match(name)
            student = moodle.expand(r"\1 (\2)") if moodle else name if in_folder else words
            found = read(student or folder.resolve().name, path, chapters)
            yield found._replace(copy=copy)


def without_marks(name: str, chapters: list[Chapter]) -> tuple[str, int]:
    """Return whom the name of a file names, and which copy it is, by the marks of copies in it.

    A number behind a student's name is no such mark: group-1 and group-2 are two.
    """
    name, copy = unicodedata.normalize("NFC", MOODLE.sub("", name)), 0
    for chapter in chapters:
        name = re.sub(re.escape(chapter.stem), "/", name, flags=re.I)  # no file's name has a "/"
    while mark := MARK.search(name):
        name = name[: mark.start()] + name[mark.end() :]
        copy += int(re.sub(r"\D", "", mark[0]) or 1)
    return name.replace("/", "").strip(" _-"), copy


def all_files(folder: Path) -> list[Path]:
    """Return the files and links in a folder and in its folders; follow no link."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [path for path in found if not HIDDEN.search(path.relative_to(folder).as_posix())]


def read(student: str, path: Path, chapters: list[Chapter]) -> HandIn:
    """Read a file, whatever it is."""
    try:
        if path.is_symlink():
            raise ValueError("a link, which is not followed: hand in the file itself")
        if path.is_dir():
            raise ValueError("the folder is empty")
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
