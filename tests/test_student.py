"""Copies for students hold no solution, and for each answer a cell that the check finds again."""

import builtins
import re
import zipfile

import nbformat
import pytest
import tiny_chapter

from tools.course import exercises, student
from tools.course.chapters import chapters


def texts(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_copy_has_the_lesson_and_the_exercises_and_no_solution(path):
    notebook, copy = nbformat.read(path, 4), student.student_copy(path)
    key = student.plain_notebook(path, last=False)
    for made in (copy, key):
        nbformat.validate(nbformat.reads(nbformat.writes(made), 4))
    solutions, inside = [], False  # by a way of its own: no directive is parsed
    for cell in notebook.cells:
        if cell.cell_type == "code" and inside:
            solutions.append(cell)
        marks = re.findall(r"\{solution-(start|end)\}", cell.source)
        inside = marks[-1] == "start" if marks else inside
    assert len(solutions) >= 3
    others = "\n".join(cell.source for cell in notebook.cells if cell not in solutions)
    lines = {line.strip() for cell in solutions for line in cell.source.splitlines()}
    telling = [line for line in lines if len(line) > 8 and line not in others]
    assert len(telling) > 5 and not [line for line in telling if line in texts(copy)]
    meanings = re.findall(r"\} What it means\n:class: .*\n([^\n]{40})", texts(notebook))
    meanings += re.findall(r"\{solution\} \S+\n:class: .*\n([^\n]{40})", texts(notebook))
    assert len(meanings) >= 3 and not [text for text in meanings if text in texts(copy)]
    assert not re.search(r"\bsolution", texts(copy), re.I)

    of_copy, of_key = ({cell.id: cell for cell in made.cells} for made in (copy, key))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.id in of_copy) == (cell not in solutions) and cell.id in of_key
    assert not [c for c in copy.cells if c.get("outputs") or c.get("execution_count")]
    chapter = exercises.read_chapter(path)
    assert len(chapter.exercises) == texts(notebook).count("{exercise}")
    for each in chapter.exercises:
        assert f"Exercise: {each.title}" in texts(copy)
        assert of_copy[each.cell].metadata.exercise == each.label
        assert of_copy[each.cell].source == (each.source or exercises.PROMPT)
        assert bool(each.source) == bool(each.names) == bool(each.check), each.label
        assert not each.source or ("assert" in each.check and "..." not in each.check)
    assert sum(bool(each.check) for each in chapter.exercises) >= 3
    kinds = r"^### (Exercise)|^\*\*(Solution)\*\*$|<summary>(Solution)<"
    words = ["".join(kind) for kind in re.findall(kinds, texts(key), re.M)]
    assert words == ["Exercise", "Solution"] * len(chapter.exercises)


def test_copies_and_key_are_written_apart_and_over_nothing_of_others(tmp_path, monkeypatch, capsys):
    tiny = tiny_chapter.write(tmp_path / "book" / "07_tiny.ipynb")
    monkeypatch.setattr(student, "chapters", lambda: [tiny])
    out = tmp_path / "out"
    assert student.main(out) == 0
    (out / "students" / "mine.txt").write_text("mine")
    assert student.main(out) == 0, "again, over its own"
    assert (out / "students" / "mine.txt").read_text() == "mine"
    for name in ("students", "key"):
        written = (out / name / tiny.name).read_bytes()
        with zipfile.ZipFile(out / f"{name}.zip") as archive:
            assert archive.namelist() == [f"{name}/{tiny.name}"]
            assert archive.read(f"{name}/{tiny.name}") == written
        assert (b"sum(numbers)  # the solution" in written) == (name == "key")
    assert not list(tmp_path.rglob("*.part"))
    (tmp_path / "students").mkdir()
    assert student.main(tmp_path) == 1
    assert "name another folder" in capsys.readouterr().err
    assert list((tmp_path / "students").iterdir()) == []


# What an answer needs of a lesson

LESSON = [
    "%config A.b = 1\nimport math\nfrom os import path as where",
    "size, seed = 3, 0\nunused = [1] * 10**9",
    "model = [size]\nmodel.append(4)",
    "def fit(model):\n    model.append(seed)",
    "fit(model)\nprint(model)",
    "loss = {}\nfor name in ('a', 'b'):\n    found = fit(list(model))\n    loss[name] = found",
    "def late():\n    return factor * math.pi",
    "factor = 2",
    "model = 'another'",
]


def test_a_lesson_is_cut_to_what_binds_or_changes_what_is_wanted():
    for names, lines in (
        ({"unknown"}, []),
        ({"where"}, ["from os import path as where"]),
        ({"late"}, ["import math", "def late():", "    return factor * math.pi", "factor = 2"]),
        ({"model"}, ["model = 'another'"]),
    ):
        assert exercises.needed(LESSON, names).splitlines() == lines, names
    found = exercises.needed(LESSON, {"loss"})
    for line in ("size, seed", "model.append(4)", "fit(model)", "loss = {}", "loss[name] = found"):
        assert line in found.replace("(size, seed)", "size, seed")
    assert "print" not in found and "unused" not in found and "another" not in found


def test_a_name_that_an_answer_binds_itself_is_not_wanted_of_the_lesson():
    answer = "for a, b in pairs:\n    c = a + b\nwith open(p) as file:\n    d = [c for e in file]"
    assert exercises.wanted(answer, {"c", "z"}) == {"pairs", "open", "p", "c", "z"}
    assert exercises.wanted("if a:\n    b = 1\nelse:\n    b\nx = y\nx", set()) == {"a", "b", "y"}
    assert exercises.wanted("%%time\nx = y", set()) >= {"x", "y"}


def test_the_cut_lessons_run_as_the_whole_ones():
    """Each name that a cut lesson reads, it has bound before."""
    for path in chapters():
        chapter = exercises.read_chapter(path)
        names = set().union(*(exercises.wanted(each.check, set()) for each in chapter.exercises))
        code = exercises.needed(chapter.lesson, names)
        assert exercises.wanted(code, set()) <= set(dir(builtins)), chapter.stem
        assert len(code) < len("\n".join(chapter.lesson))


def test_no_code_is_too_much_to_be_looked_at():
    for code in (
        "x = 1" + " + 0" * 4000, "x = " + "-" * 9000 + "1", "x = " + "[" * 9000, "x = 1\x00",
        "%%a\n(", "x = " + "lambda: " * 2000 + "0", "x = a" + ".b" * 5000, "%a\n" * 3000,
        "x = ''\ud800",
    ):  # fmt: skip
        exercises.left_open(code)
        assert "y" in exercises.wanted(f"{code}\ny", set())


def test_an_answer_is_open_while_one_of_its_names_is():
    for code, names in (
        ("a, b = None, 1", {"a", "b"}),
        ("a = ...", {"a"}),
        ("a = None\na = 2", set()),
        ("def f():\n    '''Say.'''\n    ...", {"f"}),
        ("def f():\n    return None", set()),
    ):
        assert exercises.left_open(code) == names, code
