"""Copies for students hold no solution; what they hand in is checked, whatever it is."""

import builtins
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.course import check, exercises, hand_ins, kernels, student

PATHS = sorted(exercises.NOTEBOOKS.glob("*.ipynb"))
SECONDS, MEMORY_MB = 3, 700
windows = pytest.mark.skipif(os.name == "nt", reason="Windows has none of this")


# The copies


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def copies(request):
    """Return a chapter, its copy for students, and its key."""
    path = request.param
    return nbformat.read(path, 4), student.student_copy(path), student.key_copy(path)


def texts(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def code_of_solutions(notebook):
    """Give the cells of code that stand in a solution."""
    inside = False
    for cell in notebook.cells:
        if cell.cell_type == "code" and inside:
            yield cell
        marks = re.findall(r"\{solution-(start|end)\}", cell.source)
        inside = marks[-1] == "start" if marks else inside


def test_a_copy_has_no_line_of_a_solution(copies):
    notebook, copy, _ = copies
    solutions = list(code_of_solutions(notebook))
    assert len(solutions) >= 3
    others = "\n".join(cell.source for cell in notebook.cells if cell not in solutions)
    lines = {line.strip() for cell in solutions for line in cell.source.splitlines()}
    telling = [line for line in lines if len(line) > 8 and line not in others]
    assert len(telling) > 5
    assert [line for line in telling if line in texts(copy)] == []


def test_a_copy_says_nothing_of_what_a_solution_means(copies):
    notebook, copy, _ = copies
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    meanings = re.findall(r"\{admonition\} What it means\n:class: .*\n([^\n]{40})", prose)
    meanings += re.findall(r"\{solution\} \S+\n:class: .*\n([^\n]{40})", prose)
    assert len(meanings) >= 3
    assert [text for text in meanings if text in texts(copy)] == []
    assert not re.search(r"\bsolution", texts(copy), re.I)


def test_a_copy_has_no_outputs_and_is_a_valid_notebook(copies):
    for cell in copies[1].cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    for copy in copies[1:]:
        nbformat.validate(nbformat.reads(nbformat.writes(copy), 4))


def test_a_copy_has_every_exercise_with_a_cell_for_its_answer(copies):
    notebook, copy, _ = copies
    by_id = {cell.id: cell for cell in copy.cells}
    chapter = exercises.read_chapter(
        next(path for path in PATHS if path.stem == copy.metadata.course.chapter)
    )
    assert len(chapter.exercises) == texts(notebook).count("{exercise}")
    for each in chapter.exercises:
        assert f"Exercise: {each.title}" in texts(copy)
        assert by_id[each.cell].metadata.exercise == each.label
        assert by_id[each.cell].source == (each.source or exercises.PROMPT)


def test_what_can_be_checked_has_names_and_asserts(copies):
    chapter = exercises.read_chapter(
        next(path for path in PATHS if path.stem == copies[1].metadata.course.chapter)
    )
    for each in chapter.exercises:
        assert bool(each.source) == bool(each.names) == bool(each.check), each.label
        assert not each.source or "assert" in each.check
        assert "..." not in each.check
    assert sum(bool(each.check) for each in chapter.exercises) >= 3


def test_the_rest_of_the_lesson_is_in_the_copy(copies):
    notebook, copy, key = copies
    solutions = {cell.id for cell in code_of_solutions(notebook)}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.id in {c.id for c in copy.cells}) == (cell.id not in solutions)
            assert cell.id in {c.id for c in key.cells}


def test_in_the_key_each_solution_follows_its_exercise(copies):
    _, _, key = copies
    kinds = re.findall(
        r"^### (Exercise)|^\*\*(Solution)\*\*$|<summary>(Solution)<", texts(key), re.M
    )
    words = ["".join(kind) for kind in kinds]
    assert words == ["Exercise", "Solution"] * (len(words) // 2) and words


def test_copies_and_key_are_written_apart(tmp_path, tiny):
    assert student.main(tmp_path / "out") == 0
    other = tmp_path / "out" / "students" / "mine.txt"
    other.write_text("mine")
    assert student.main(tmp_path / "out") == 0, "again, over its own"
    assert other.read_text() == "mine"
    for name in ("students", "key"):
        written = (tmp_path / "out" / name / tiny.name).read_bytes()
        with zipfile.ZipFile(tmp_path / "out" / f"{name}.zip") as archive:
            assert archive.namelist() == [f"{name}/{tiny.name}"]
            assert archive.read(f"{name}/{tiny.name}") == written
        assert (b"sum(numbers)  # the solution" in written) == (name == "key")
    assert not list(tmp_path.rglob("*.unfinished"))


def test_nothing_is_written_over_what_others_have_made(tmp_path, tiny, capsys):
    (tmp_path / "students").mkdir()
    (tmp_path / "students" / tiny.name).write_text("mine")
    assert student.main(tmp_path) == 1
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / "students" / tiny.name).read_text() == "mine"


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


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ({"size"}, ["(size, seed) = (3, 0)"]),
        ({"unknown"}, []),
        ({"where"}, ["from os import path as where"]),
        ({"late"}, ["import math", "def late():", "    return factor * math.pi", "factor = 2"]),
        ({"model"}, ["model = 'another'"]),
    ],
)
def test_a_lesson_is_cut_to_what_is_wanted(names, lines):
    found = exercises.needed(LESSON, names).replace("size, seed = (3, 0)", "(size, seed) = (3, 0)")
    assert found.splitlines() == lines


def test_what_changes_a_name_in_place_is_kept():
    found = exercises.needed(LESSON, {"loss"})
    for line in ("model.append(4)", "fit(model)", "loss = {}", "loss[name] = found"):
        assert line in found
    assert "print" not in found and "unused" not in found and "another" not in found


def test_the_cut_lessons_run_as_the_whole_ones():
    """Each name that a cut lesson reads, it has bound before."""
    for chapter in exercises.read_chapters():
        names = set().union(*(exercises.wanted(each.check, set()) for each in chapter.exercises))
        code = exercises.needed(chapter.lesson, names)
        assert exercises.wanted(code, set()) <= set(dir(builtins)), chapter.stem
        assert len(code) < len("\n".join(chapter.lesson))


@pytest.mark.parametrize(
    "code",
    ["x = 1" + " + 0" * 4000, "x = " + "-" * 9000 + "1", "x = " + "[" * 9000, "x = 1\x00", "%%a\n(",
     "x = " + "lambda: " * 2000 + "0", "x = a" + ".b" * 5000, "%a\n" * 3000, "x = ''\ud800'"],
    ids=["sum", "signs", "brackets", "null", "magic", "lambdas", "dots", "lines", "half"],
)  # fmt: skip
def test_no_code_is_too_much_to_be_looked_at(code):
    exercises.left_open(code)
    assert "y" in exercises.wanted(f"{code}\ny", set())


# What is handed in

CHECKED = {
    "ex-tiny-1": (
        "def check_total(total):\n"
        '    assert abs(total - sum(numbers)) < 0.1, "add them"\n'
        '    print("right")\n\n'
        "total = ...  # your answer\n"
        "if total is not ...:\n"
        "    check_total(total)"
    ),
    "ex-tiny-2": (
        "def double(number):\n    ...  # your lines\n\n"
        "def check_double(function):\n"
        "    assert function(3) == 6\n\n"
        "if double(1) is not None:\n"
        "    check_double(double)"
    ),
    "ex-tiny-3": (
        "first, second = ..., ...\n"
        "if ... not in (first, second):\n"
        '    assert (first, second) == (numbers[0], numbers[1]), "not these"'
    ),
}
TITLES = ["The sum?", "The double", "Two (names)"]
RIGHT = {
    "ex-tiny-1": "total = sum(numbers)",
    "ex-tiny-2": "def double(number):\n    return 2 * number",
    "ex-tiny-3": "first, second = numbers[:2]",
}
ALL_PASS = dict.fromkeys(RIGHT, "passed")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Make a book of one chapter with three exercises and an open one; return the chapter."""
    text = "# Tiny\n\n## Exercises\n\n"
    cells = [
        new_markdown_cell("# A tiny chapter", id="cell-00"),
        new_code_cell("numbers = [1, 2, 3]", id="cell-01"),
        new_markdown_cell("It goes on.", id="cell-02"),
        new_code_cell("raise SystemExit('nobody needs this')", id="cell-03"),
    ]
    solutions = [RIGHT["ex-tiny-1"] + "  # the solution", *list(RIGHT.values())[1:]]
    for number, (label, title) in enumerate(zip(CHECKED, TITLES, strict=True)):
        text += f":::{{exercise}} {title}\n:label: {label}\nDo it.\n:::"
        cells += [
            new_markdown_cell(text, id=f"text-{number}"),
            new_code_cell(CHECKED[label], id=f"cell-{number}", metadata={"tags": ["exercise"]}),
            new_markdown_cell(f":::{{solution-start}} {label}\n:class: dropdown\n:::"),
            new_code_cell(solutions[number]),
        ]
        text = ":::{solution-end}\n:::\n\n"
    text += (
        ":::{exercise} Why?\n:label: ex-tiny-4\nOpen.\n:::\n\n"
        ":::{solution} ex-tiny-4\n:class: dropdown\nBecause.\n:::"
    )
    cells += [new_markdown_cell(text, id="text-3"), new_markdown_cell("## Quiz", id="quiz")]
    folder = tmp_path / "book"
    folder.mkdir()
    nbformat.write(new_notebook(cells=cells), folder / "07_tiny.ipynb")
    monkeypatch.setattr(exercises, "NOTEBOOKS", folder)
    monkeypatch.setattr(student, "NOTEBOOKS", folder)
    return folder / "07_tiny.ipynb"


@pytest.fixture
def hand_in(tiny, tmp_path):
    """Return a function that hands in a student's copy of the tiny chapter, with answers."""

    def hand_in(answers, name="anna/07_tiny.ipynb", change=lambda cells: cells):
        copy = student.student_copy(tiny)
        for cell in copy.cells:
            if code := answers.get(cell.metadata.get("exercise")):
                cell.source = code
        copy.cells = change(copy.cells)
        path = tmp_path / "handed in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(copy), "utf8")
        return path

    return hand_in


@pytest.fixture
def checked(tmp_path):
    """Return a function that checks what was handed in and reads the table."""

    def checked(seconds=SECONDS, **options):
        table = tmp_path / "table.csv"
        assert check.main(tmp_path / "handed in", table, seconds, MEMORY_MB, **options) == 0
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    return checked


def results(rows, student="anna"):
    return {
        row["exercise"]: row["result"]
        for row in rows
        if row["student"] == student and row["result"] != "open"
    }


def note(rows, label):
    (found,) = (row["note"] for row in rows if row["exercise"] == label)
    return found


def test_right_answers_pass(hand_in, checked, capsys):
    hand_in(RIGHT | {"ex-tiny-4": "For two\nreasons."})
    rows = checked()
    assert results(rows) == ALL_PASS
    assert [row["title"] for row in rows] == [*TITLES, "Why?"]
    assert {row["chapter"] for row in rows} == {"07_tiny"}
    assert rows[3]["result"] == "open" and rows[3]["note"] == "For two reasons."
    assert "anna   3 of  3 passed" in capsys.readouterr().out


def test_a_copy_as_it_is_has_no_answer_and_starts_no_kernel(hand_in, checked, monkeypatch):
    monkeypatch.setattr(check, "fresh_kernel", None)
    hand_in({"ex-tiny-3": CHECKED["ex-tiny-3"].replace("..., ...", "1, ...")})
    rows = checked()
    assert set(results(rows).values()) == {"not answered"}
    assert note(rows, "ex-tiny-4") == "not answered"


FIRST_ANSWERS = {  # to the first exercise: what becomes of it, and what is said of it
    "wrong": ("total = 5", "failed", "add them"),
    "of a wrong type": ("total = 'six'", "failed", "TypeError"),
    "prints": ("print('right', 'passed')\ntotal = 5", "failed", "add them"),
    "with its own assert": (
        CHECKED["ex-tiny-1"].replace("total = ...", "total = 5").replace('"add them"', "True")
        .replace("abs(total - sum(numbers)) < 0.1", "True"), "failed", "add them",
    ),
    "shadows": ("abs = lambda number: 0\nnumbers = [1, 2, 2]\ntotal = 5", "failed", "add them"),
    "shadows the judge's": ("exec = compile = lambda *x: None\ntotal = 5", "failed", "add them"),
    "patches": (
        "import builtins\nbuiltins.abs = lambda number: 0\nbuiltins.AssertionError = KeyError\n"
        "total = 5", "failed", "add them",
    ),
    "patches what runs it": ("import builtins\nbuiltins.exec = print", "crashed", "no result"),
    "raises": ("total = 1 / 0", "error", "ZeroDivisionError: division by zero"),
    "raises in the check": (
        "class A:\n    def __sub__(self, x): raise SystemExit\ntotal = A()", "failed", "SystemExit",
    ),
    "is no Python": ("total = (", "error", "SyntaxError"),
    "is nested deeply": ("total = " + "(" * 5000 + ")" * 5000, "error", "SyntaxError"),
    "is long": ("total = 6  #" + "x" * 30_000, "error", "longer than"),
    "is magic": ("%%time\ntotal = 6", "passed", ""),
    "asks": ("total = float(input())", "error", "StdinNotImplementedError"),
    "takes long": ("while True: pass", "timeout", f"longer than {SECONDS} s"),
    "takes long and won't stop": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "timeout", "longer than",
    ),
    "shows much": (
        "from IPython.display import display\nwhile True: display('x' * 99_999)", "timeout", "",
    ),
    "shows more": (
        "from IPython.display import display\ndisplay('x' * 9_999_999)\ntotal = 5", "failed", "",
    ),
    "leaves": ("import os\nos._exit(0)", "crashed", "died"),
    "leaves in the check": (
        "class A:\n    def __sub__(self, x): __import__('os')._exit(0)\ntotal = A()", "crashed", "",
    ),
    "crashes": ("import ctypes\nctypes.string_at(0)", "crashed", "died"),
    "removes where it runs": (
        "import os, shutil\nshutil.rmtree(os.getcwd())\ntotal = 6", "passed", "",
    ),
    "looks for secrets": (
        "import os\ntotal = 6 if not any('TOKEN' in name for name in os.environ) else 0",
        "passed", "",
    ),
}  # fmt: skip


def test_whatever_an_answer_does_the_others_are_checked(hand_in, checked, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    written = {}
    for name, (answer, _, _) in FIRST_ANSWERS.items():
        path = hand_in(RIGHT | {"ex-tiny-1": answer}, f"{name}/07_tiny.ipynb")
        written[path] = path.read_bytes()
    rows = checked()
    first = {row["student"]: row for row in rows if row["exercise"] == "ex-tiny-1"}
    for name, (_, result, said) in FIRST_ANSWERS.items():
        assert results(rows, name) == ALL_PASS | {"ex-tiny-1": result}, (name, first[name])
        assert said in first[name]["note"], name
        assert float(first[name]["seconds"]) < SECONDS + 8, name
    assert {path: path.read_bytes() for path in written} == written


MEMORY = "block = b'x' * 2 * 10**9\ntotal = 6"
CHILDREN = """\
import subprocess, sys, time
code = "x = b'x' * 350_000_000; import time; time.sleep(60)"
children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
time.sleep(60)"""


@windows
@pytest.mark.parametrize("answer", [MEMORY, CHILDREN], ids=["itself", "its children"])
def test_an_answer_that_takes_much_memory_is_stopped(hand_in, checked, answer):
    hand_in(RIGHT | {"ex-tiny-2": answer})
    start = time.monotonic()
    rows = checked(seconds=30)
    assert results(rows) == ALL_PASS | {"ex-tiny-2": "memory"}
    assert time.monotonic() - start < 25
    if answer is MEMORY and sys.platform == "linux":  # not by looking at it now and then
        assert "MemoryError" in note(rows, "ex-tiny-2")


WAIT = "import time; time.sleep(600)"


def with_sign(sign):
    """Return the processes that run and have a word in their command."""
    found = [p for p in psutil.process_iter(["cmdline"]) if sign in (p.info["cmdline"] or [])]
    return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("ends", ["total = 6", "import os; os._exit(1)"])
def test_what_an_answer_has_started_ends_with_it(hand_in, checked, tmp_path, ends):
    sign = f"sign{os.getpid()}"
    hand_in(RIGHT | {
        "ex-tiny-1": "import subprocess, sys\n"
        f"command = [sys.executable, '-c', {WAIT!r}, {sign!r}]\n"
        f"child = subprocess.Popen(command, start_new_session=True)\n{ends}"
    })  # fmt: skip
    assert results(checked())["ex-tiny-2"] == "passed"
    assert with_sign(sign) == []


def test_answers_share_a_kernel_as_in_the_notebook(hand_in, checked):
    hand_in(RIGHT | {"ex-tiny-3": "first, second = total - 5, double(1)"})
    assert results(checked()) == ALL_PASS


def test_the_check_in_an_answers_cell_does_not_run_twice():
    exercise = exercises.Exercise("ex-tiny-1", "", "", CHECKED["ex-tiny-1"])
    answer = "\n\n" + CHECKED["ex-tiny-1"].replace("...  # your answer", "6\n%time 7")
    assert "\n    check_total(total)" in answer
    left = check.without_check(answer + "\nafter = 8", exercise)
    assert "\n    check_total(total)" not in left and "if total is not" not in left
    assert all(line in left for line in ("def check_total", "total = 6", "after = 8"))
    assert check.without_check("total = (", exercise).strip() == "total = ("


def test_an_answer_that_broke_its_kernel_is_not_there_for_the_others(hand_in, checked):
    crash = RIGHT["ex-tiny-2"] + "\nfactor = 2\nimport os\nos._exit(0)"
    hand_in(RIGHT | {"ex-tiny-2": crash, "ex-tiny-3": "first, second = total - 5, 2"}, "a.ipynb")
    hand_in(RIGHT | {"ex-tiny-2": crash, "ex-tiny-3": "first, second = 1, factor"}, "b.ipynb")
    rows = checked()
    assert results(rows, "a") == ALL_PASS | {"ex-tiny-2": "crashed"}
    assert results(rows, "b") == ALL_PASS | {"ex-tiny-2": "crashed", "ex-tiny-3": "error"}


def without(*ids):
    return lambda cells: [cell for cell in cells if cell.id not in ids]


def without_ids_and_texts(cells):
    cells = [cell for cell in cells if cell.metadata]
    for cell in cells:
        del cell["id"]
    return cells


def without_ids_and_metadata(cells):
    for cell in cells:
        del cell["id"]
        cell.metadata = {}
    return cells


def with_another_lesson(cells):
    for cell in cells:
        if cell.id == "cell-01" and cell.cell_type == "code":
            cell.source = "raise RuntimeError('numbers are gone')"
    return cells


def in_two_cells(cells):
    place = next(i for i, cell in enumerate(cells) if cell.id == "text-1")
    helper = new_code_cell("def twice(number):\n    return 2 * number")
    cells.insert(place + 1, helper)
    answer = next(cell for cell in cells if cell.metadata.get("exercise") == "ex-tiny-2")
    answer.source = "double = twice"
    return cells


CHANGES = {
    "no answer": (without("cell-2"), {"ex-tiny-3": "missing"}),
    "no text": (without("text-1"), {}),
    "no lesson": (without("cell-00", "cell-01", "cell-02", "cell-03"), {}),
    "no order": (lambda cells: cells[::-1], {}),
    "no ids, no texts": (without_ids_and_texts, {}),
    "no ids, no metadata": (without_ids_and_metadata, {}),
    "another lesson": (with_another_lesson, {}),
    "an answer in two cells": (in_two_cells, {}),
}


def test_a_changed_notebook_is_checked_by_its_answers(hand_in, checked):
    for name, (change, _) in CHANGES.items():
        hand_in(RIGHT, f"{name}/07_tiny.ipynb", change)
    rows = checked()
    for name, (_, changed) in CHANGES.items():
        assert results(rows, name) == ALL_PASS | changed, name


def test_what_is_no_notebook_is_named(hand_in, checked, tmp_path):
    anna = hand_in(RIGHT).parent
    contents = {
        "a.ipynb": (b"total = 6", "no JSON"),
        "b.ipynb": (b"\xff\xfe\x00", "no JSON"),
        "c.ipynb": (b"[1, 2]", "no list of cells"),
        "d.ipynb": (b'{"cells": [1], "metadata": 3}', "one of its cells is none"),
        "e.ipynb": (b"[" * 200_000, "no JSON"),
        "f.ipynb": (b'{"cells": [{"source": 3, "metadata": []}]}', "none of its exercises"),
        "g.txt": (b"total = 6", "ends in .ipynb"),
        "h.ipynb": (b"", "larger than 20 MB"),
        "i.ipynb": (b'{"cells": [], "metadata": {"course": {"chapter": []}}}', "none of its"),
    }
    for name, (data, _) in contents.items():
        (anna / name).write_bytes(data)
    os.truncate(anna / "h.ipynb", hand_ins.LARGEST + 1)
    (anna.parent / "ben").mkdir()
    (anna.parent / "carl.ipynb").write_text("{")
    (anna.parent / ".hidden").write_text("{")
    rows = checked()
    assert results(rows)["ex-tiny-1"] == "passed"
    notes = [row["note"] for row in rows if row["result"] == "unreadable"]
    for (name, (_, problem)), said in zip(contents.items(), notes, strict=False):
        assert said.startswith(f"{name}: ") and problem in said
    assert notes[-2:] == ["ben: the folder is empty", notes[-1]] and "carl.ipynb" in notes[-1]
    assert set(results(rows, "ben").values()) == {"unreadable", "missing"}


@windows
def test_no_link_is_followed(hand_in, checked, tmp_path):
    outside = hand_in(RIGHT, "../outside/07_tiny.ipynb")
    (tmp_path / "handed in" / "ben").mkdir(parents=True)
    (tmp_path / "handed in" / "ben" / "x.ipynb").symlink_to(outside)
    (tmp_path / "handed in" / "ben" / "folder").symlink_to(outside.parent)
    (tmp_path / "handed in" / "carl").symlink_to(outside.parent)
    (tmp_path / "handed in" / "dora.ipynb").symlink_to("dora.ipynb")
    os.mkfifo(tmp_path / "handed in" / "ben" / "pipe.ipynb")
    rows = checked()
    assert [row["result"] for row in rows] == ["unreadable"] * 5
    assert sum("a link" in row["note"] for row in rows) == 4


def test_a_file_a_student_is_as_good_as_a_folder(hand_in, checked):
    hand_in(RIGHT, "anna_07_tiny.ipynb")
    hand_in(RIGHT | {"ex-tiny-1": "total = 5"}, "ben.ipynb")
    rows = checked()
    assert results(rows) == ALL_PASS
    assert results(rows, "ben") == ALL_PASS | {"ex-tiny-1": "failed"}


def test_the_newest_of_two_notebooks_counts(hand_in, checked):
    old, new = hand_in(RIGHT, "anna/z.ipynb"), hand_in({}, "anna/a.ipynb")
    os.utime(old, (1, 1))
    os.utime(new, (2, 2))
    rows = checked()
    assert results(rows)["ex-tiny-1"] == "not answered"
    (left_out,) = (row for row in rows if row["result"] == "left out")
    assert left_out["note"].startswith("z.ipynb")


@windows
def test_a_spreadsheet_computes_nothing_in_the_table(hand_in, checked):
    hand_in(RIGHT | {"ex-tiny-4": "=1+1"}, '=cmd, "x"\n/07_tiny.ipynb')
    rows = checked()
    assert {row["student"] for row in rows} == {'\'=cmd, "x"'}
    assert note(rows, "ex-tiny-4") == "'=1+1"


def test_a_text_is_one_short_line_in_the_table():
    assert check.safe("\x1b[31ma\tb\r\n\u2028c\x00\ud800") == "a b c ?"
    assert check.safe("\t@x") == "'@x" and len(check.safe("x" * 999)) == 300


def test_only_some_chapters(hand_in, checked, tmp_path, capsys):
    hand_in({})
    (tmp_path / "handed in" / "ben").mkdir()
    rows = checked(only=["07"])
    assert set(results(rows, "ben").values()) == {"unreadable", "missing"}
    assert check.main(tmp_path / "handed in", tmp_path / "t.csv", 1, 1, ["08"]) == 1
    assert "no chapter 08" in capsys.readouterr().err
    assert check.main(tmp_path / "nowhere", tmp_path / "t.csv", 1, 1) == 1
    assert "no folder" in capsys.readouterr().err


def test_a_table_that_can_not_be_written_is_known_before_anything_runs(
    hand_in, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(check, "fresh_kernel", None)
    place = hand_in(RIGHT)
    assert check.main(tmp_path / "handed in", place / "table.csv", 1, 1) == 1
    assert "can't be written" in capsys.readouterr().err


def test_a_table_that_a_spreadsheet_holds_is_printed(hand_in, tmp_path, monkeypatch, capsys):
    whole, times = check.write_table, []

    def held(table, rows):
        times.append(rows)
        if len(times) > 1:
            raise PermissionError("held")
        whole(table, rows)

    monkeypatch.setattr(check, "write_table", held)
    hand_in({}, "anna/07_tiny.ipynb")
    hand_in({}, "ben/07_tiny.ipynb")
    assert check.main(tmp_path / "handed in", tmp_path / "table.csv", 1, 1) == 1
    printed = capsys.readouterr()
    assert "held" in printed.err and printed.out.count("not answered") == 8


def test_a_lesson_that_fails_is_no_mistake_of_the_students(hand_in, checked, tiny):
    book = nbformat.read(tiny, 4)
    book.cells[1].source = "numbers = 1 / 0"
    nbformat.write(book, tiny)
    hand_in(RIGHT)
    rows = checked()
    assert results(rows)["ex-tiny-1"] == "error"
    assert "the book's own lesson did not run" in note(rows, "ex-tiny-1")


def test_features_of_the_lesson_are_kept_for_the_next_and_those_of_answers_are_not(
    hand_in, checked, tiny, monkeypatch
):
    monkeypatch.setattr(check.os, "cpu_count", lambda: 1)
    book = nbformat.read(tiny, 4)
    book.cells[1].source = (
        "import os\nfrom pathlib import Path\n"
        "kept = Path(os.environ['TRANSFER_LEARNING_CACHE']) / 'kept'\n"
        "numbers = [1, 2, 3 if kept.exists() else 4 + len(kept.name) * kept.write_bytes(b'')]"
    )
    nbformat.write(book, tiny)
    spoil = RIGHT["ex-tiny-1"] + "\nkept.unlink()\n(kept.parent / 'mine').write_text('x')"
    look = "assert not (kept.parent / 'mine').exists()\ntotal = 6"
    hand_in(RIGHT | {"ex-tiny-1": spoil}, "anna/07_tiny.ipynb")
    hand_in(RIGHT | {"ex-tiny-1": look}, "ben/07_tiny.ipynb")
    rows = checked()
    assert results(rows, "ben") == ALL_PASS


@windows
def test_stopped_it_leaves_a_table_and_no_kernel(hand_in, checked, tiny, tmp_path):
    sign = f"stop{os.getpid()}"
    wait = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WAIT!r}, {sign!r}])"
    hand_in(RIGHT, "anna/07_tiny.ipynb")
    for name in ("ben", "carl", "dora"):
        hand_in(RIGHT | {"ex-tiny-1": wait}, f"{name}/07_tiny.ipynb")
    program = (
        "import check, exercises, pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the shell may ignore it
        "book, folder, table = map(pathlib.Path, sys.argv[1:])\n"
        "exercises.NOTEBOOKS = book\n"
        "sys.exit(check.main(folder, table, 500, 2000))"
    )
    table = tmp_path / "table.csv"
    command = [sys.executable, "-c", program, tiny.parent, tmp_path / "handed in", table]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "1 of 4: anna\n"
        try:
            while not with_sign(sign):
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 1
        finally:
            running.kill()
    assert "anna,07_tiny,ex-tiny-1,The sum?,passed" in table.read_text("utf-8-sig")
    assert with_sign(sign) == []


def test_a_kernel_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(tmp_path))
    with kernels.fresh_kernel(MEMORY_MB) as kernel:
        pid = kernel.process.pid
        assert kernel.run("import os; os.getcwd()", 10).text == repr(str(kernel.folder / "work"))
        assert kernel.run("os.environ['HOME']", 10).text == repr(str(kernel.folder / "home"))
    assert list(tmp_path.iterdir()) == []
    assert not psutil.pid_exists(pid)
