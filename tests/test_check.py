"""What students hand in is checked, whatever it is."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import nbformat
import psutil
import pytest
import tiny_chapter
from nbformat.v4 import new_code_cell, new_markdown_cell
from tiny_chapter import CHECKED, RIGHT, TITLES

from tools.course import check, exercises, hand_ins, kernels, student

MEMORY_MB = 700
ALL_PASS = dict.fromkeys(RIGHT, "passed")
windows = pytest.mark.skipif(os.name == "nt", reason="Windows has none of this")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Make a book of one small chapter; return the chapter."""
    path = tiny_chapter.write(tmp_path / "book" / "07_tiny.ipynb")
    monkeypatch.setattr(exercises, "chapters", lambda: [path])
    return path


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
def checked(tmp_path, monkeypatch):
    """Return a function that checks what was handed in and reads the table."""

    def checked(seconds=60, late=0.0):
        monkeypatch.setattr(check, "LATE", late)
        table = tmp_path / "tables" / "table.csv"
        assert check.main(tmp_path / "handed in", table, seconds, MEMORY_MB) == 0
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    return checked


def results(rows, student="anna"):
    """Return what became of a student's answers, by label, but for open ones."""
    mine = [row for row in rows if row["student"] == student and row["result"] != "open"]
    return {row["exercise"]: row["result"] for row in mine}


def note(rows, label, student="anna"):
    (found,) = (
        row["note"] for row in rows if row["exercise"] == label and row["student"] == student
    )
    return found


def test_a_copy_as_it_is_has_no_answer_and_starts_no_kernel(hand_in, checked, monkeypatch, capsys):
    monkeypatch.setattr(check, "fresh_kernel", None)
    hand_in({"ex-tiny-3": CHECKED["ex-tiny-3"].replace("None, None", "1, None", 1)})
    old = {label: source.replace("None", "...") for label, source in CHECKED.items()}
    hand_in(old | {"ex-tiny-4": "=1+1\nis two."}, '=cmd, "x"/07_tiny.ipynb')
    rows = checked()
    assert set(results(rows).values()) == {"not answered"}
    assert [row["title"] for row in rows] == TITLES * 2
    assert {row["chapter"] for row in rows} == {"07_tiny"}
    assert note(rows, "ex-tiny-4") == "not answered"
    other = '\'=cmd, "x"'  # a spreadsheet computes nothing
    assert set(results(rows, other).values()) == {"not answered"}
    assert note(rows, "ex-tiny-4", other) == "'=1+1 is two."
    assert check.safe("\x1b[31ma\tb\r\n\u2028c\x00\ud800") == "a b c ?"
    assert check.safe("\t@x") == "'@x" and len(check.safe("x" * 999)) == 300
    assert "anna         0 of  3 passed" in capsys.readouterr().out


HIDES = "class A:\n    def __sub__(self, x): {}\ntotal = A()"
OWN_CHECK = CHECKED["ex-tiny-1"].replace("total = None", "total = 5").replace("assert", "#")
# By student: an answer in place of a right one, what becomes of it, and what is said of it.
ANSWERS = {
    "right": [],
    "uses another answer": [
        (2, "import os\nos._exit(0)", "crashed", "died"),
        (3, "first, second = total - 5, 2", "passed", ""),
    ],
    "wrong": [
        (1, "print('right', 'passed')\ntotal = 5", "failed", "add them"),
        (2, "double = 2", "failed", "TypeError"),
        (3, "first = 1 / 0", "error", "ZeroDivisionError: division by zero"),
    ],
    "cheats": [
        (1, OWN_CHECK, "failed", "add them"),
        (2, "exec = compile = print\ndef double(n): return 7", "failed", "does not hold"),
        (3, "numbers = [1, 2, 2]\nfirst, second = 2, 2", "failed", "not these"),
    ],
    "patches": [
        (1, "import builtins\nbuiltins.abs = lambda n: 0\ntotal = 5", "failed", "add them"),
        (2, HIDES.format("raise SystemExit") + "\ndouble = total", "failed", "TypeError"),
        (3, "builtins.AssertionError = KeyError\nfirst, second = 2, 2", "failed", "not these"),
    ],
    "is no program": [
        (1, "total = (", "error", "SyntaxError"),
        (2, "double = " + "(" * 5000 + ")" * 5000, "error", "SyntaxError"),
        (3, "first, second = 1, 2  #" + "x" * 30_000, "error", "longer than"),
    ],
    "looks around": [
        (1, "%%time\nimport os, shutil\nshutil.rmtree(os.getcwd())\ntotal = 6", "passed", ""),
        (2, "assert not [1 for name in os.environ if 'TOKEN' in name]\n"
         "def double(n): return 2 * n", "passed", ""),
        (3, "first, second = input()", "error", "StdinNotImplementedError"),
    ],
    "shows much": [(1, "display('x' * 9_999_999)\ntotal = 5", "failed", "")],
    "leaves": [
        (1, "import os\nos._exit(0)", "crashed", "died"),
        (2, "import builtins\nbuiltins.eval = print", "crashed", "no result"),
    ],
    "leaves in the check": [
        (1, HIDES.format("__import__('os')._exit(0)"), "crashed", ""),
        (2, "double = factor = 2\nimport os\nos._exit(0)", "crashed", "died"),
        (3, "first, second = 1, factor", "error", "'factor' is not defined"),
    ],
}  # fmt: skip


def test_whatever_an_answer_does_the_others_are_checked(hand_in, checked, monkeypatch, capsys):
    monkeypatch.setenv("A_TOKEN", "secret")
    written = {}
    for name, answers in ANSWERS.items():
        code = {f"ex-tiny-{number}": answer for number, answer, _, _ in answers}
        path = hand_in(RIGHT | code, f"{name}/07_tiny.ipynb")
        written[path] = path.read_bytes()
    rows = checked()
    for name, answers in ANSWERS.items():
        became = {f"ex-tiny-{number}": result for number, _, result, _ in answers}
        assert results(rows, name) == ALL_PASS | became, [r for r in rows if r["student"] == name]
        for number, answer, _, said in answers:
            assert said in note(rows, f"ex-tiny-{number}", name), answer
    assert {path: path.read_bytes() for path in written} == written
    assert "  3 of  3 passed" in capsys.readouterr().out


@windows
def test_an_answer_that_takes_much_memory_is_stopped(hand_in, checked):
    block = "block = b'x' * 2 * 10**9\ntotal = 6"
    children = (
        "import subprocess, sys, time\n"
        "code = \"x = b'x' * 350_000_000; import time; time.sleep(600)\"\n"
        'children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]\n'
        "time.sleep(600)"
    )
    hand_in(RIGHT | {"ex-tiny-1": block, "ex-tiny-2": children})
    rows = checked()
    assert results(rows) == ALL_PASS | {"ex-tiny-1": "memory", "ex-tiny-2": "memory"}
    assert note(rows, "ex-tiny-1") == note(rows, "ex-tiny-2") == "more than 700 MB"


LATER = {  # a first answer, and what becomes of it; the others pass
    "exit()": ("total = 6\nexit()\n", "passed"),
    "timer": ("import os, threading\nthreading.Timer(1, os._exit, [0]).start()", "crashed"),
    "hog": (
        "import threading\ndef hog(kept):\n    while True: kept.append(b'x' * 10**7)\n"
        "threading.Thread(target=hog, args=[[]]).start()", "memory",
    ),
}  # fmt: skip


def test_an_answer_is_blamed_for_what_it_does_later_and_no_other_one(hand_in, checked):
    for name, (code, _) in LATER.items():
        hand_in(RIGHT | {"ex-tiny-1": f"{code}\ntotal = 6"}, f"{name}_07_tiny.ipynb")
    rows = checked(late=2)
    for name, (_, became) in LATER.items():
        assert results(rows, name) == ALL_PASS | {"ex-tiny-1": became}, rows


def test_an_answer_that_goes_on_whatever_interrupts_it_is_stopped(hand_in, checked):
    endless = "while True:\n    try:\n        while True: display('x' * 99_999)\n"
    hand_in(RIGHT | {"ex-tiny-1": endless + "    except BaseException: pass"})
    rows = checked(seconds=5)
    assert results(rows) == ALL_PASS | {"ex-tiny-1": "timeout"}
    assert note(rows, "ex-tiny-1") == "longer than 5 s"


WAIT = "import time; time.sleep(600)"


def with_sign(sign):
    """Return the processes that run and have a word in their command."""
    found = [p for p in psutil.process_iter(["cmdline"]) if sign in (p.info["cmdline"] or [])]
    return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_what_an_answer_has_started_ends_with_it(hand_in, checked):
    sign = f"sign{os.getpid()}"
    for name, ends in (("anna", "total = 6"), ("ben", "import os; os._exit(1)")):
        started = (
            "import subprocess, sys\n"
            f"command = [sys.executable, '-c', {WAIT!r}, {sign!r}]\n"
            f"child = subprocess.Popen(command, start_new_session=True)\n{ends}"
        )
        hand_in(RIGHT | {"ex-tiny-1": started}, f"{name}/07_tiny.ipynb")
    rows = checked()
    assert results(rows) == ALL_PASS
    assert results(rows, "ben") == ALL_PASS | {"ex-tiny-1": "crashed"}
    assert with_sign(sign) == []


# What a notebook is after an editor, or a student, has changed more than the answers


def anonymous(cells, kept=(), change=str):
    """Take ids and metadata away, but for the `kept`, and change all texts."""
    for cell in cells:
        metadata = {key: cell.metadata[key] for key in kept if key in cell.metadata}
        yield {"cell_type": cell.cell_type, "source": change(cell.source), "metadata": metadata}


def only_answers(cells):
    return list(anonymous([c for c in cells if "exercise" in c.metadata], ["exercise"]))


def in_two_cells(cells):
    place = next(i for i, cell in enumerate(cells) if cell.id == "text-1")
    cells.insert(place + 1, new_code_cell(RIGHT["ex-tiny-2"].replace("double", "twice")))
    answer = next(cell for cell in cells if cell.metadata.get("exercise") == "ex-tiny-2")
    answer.source = "double = twice"
    return cells


def of_windows(text):
    return text.replace("\n", "\r\n")


TWICE = ["def twice(number):\n    return 2 * number", "double = twice"]
CHANGES = {  # and what code the answers are then, where it is not the right one
    "no answer": (lambda cells: [c for c in cells if c.id != "cell-2"], {"ex-tiny-3": []}),
    "no order": (lambda cells: cells[::-1], {}),
    "no ids, no texts": (only_answers, {}),
    "no ids, no metadata, Windows": (
        lambda cells: list(anonymous(cells, change=of_windows)),
        {label: [of_windows(code)] for label, code in RIGHT.items()},
    ),
    "an answer in two cells": (in_two_cells, {"ex-tiny-2": TWICE}),
    "solutions": (lambda c: [*c, new_markdown_cell("### Solution: One"), new_code_cell("no")], {}),
}


def test_a_changed_notebook_is_known_by_its_answers(hand_in, tiny, tmp_path):
    for name, (change, _) in CHANGES.items():
        hand_in(RIGHT, f"{name}/07_tiny.ipynb", change)
    (chapter,) = exercises.read_chapters()
    found = {each.student: each for each in hand_ins.find(tmp_path / "handed in", [chapter])}
    for name, (_, changed) in CHANGES.items():
        answers = hand_ins.answers_in(found[name].cells, chapter)
        for label, code in RIGHT.items():
            expected = changed.get(label, [code])
            assert check.code_in(answers.get(label, [])) == expected, (name, label)


def test_what_is_no_notebook_is_named(hand_in, checked):
    anna = hand_in({}).parent
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
    assert results(rows)["ex-tiny-1"] == "not answered"
    notes = [row["note"] for row in rows if row["result"] == "unreadable"]
    for (name, (_, problem)), said in zip(contents.items(), notes, strict=False):
        assert said.startswith(f"{name}: ") and problem in said
    assert notes[-2] == "ben: the folder is empty" and "carl.ipynb" in notes[-1]
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


MOODLE = "Anna Lee_{}_assignsubmission_{}"
NAMES = {  # of what a student has handed in; the last one counts, where all are as old
    "anna": ["anna_07_tiny", "Copy of anna_07_tiny", "anna_07_tiny-2", "anna_07_tiny-Copy3",
             "anna_07_tiny (4)", "anna_07_tiny - Copy (5)", "anna_07_tiny copy 7"],
    "carl": ["carl/z", "carl/a"], "ben": ["ben"],  # carl's is newer
    "group-1": ["group-1_07_tiny"], "group-2": ["group-2/07_tiny", "group-2_07_tiny-1"],
    "Anna Lee (5)": [MOODLE.format(5, "file/x"), MOODLE.format(5, "file_07_tiny (1)")],
    "Anna Lee (67)": [MOODLE.format(67, "onlinetext_/x"), MOODLE.format(67, "file/07_tiny-1")],
}  # fmt: skip


def test_who_hands_in_again_is_one_student_and_the_newest_counts(hand_in, checked, monkeypatch):
    monkeypatch.setattr(check, "fresh_kernel", None)
    for name in [name for names in NAMES.values() for name in names]:
        os.utime(hand_in({}, f"{name}.ipynb"), (2, 2 + (name == "carl/a")))
    rows = checked()
    assert {row["student"] for row in rows} == NAMES.keys()
    for name, (*older, newest) in NAMES.items():
        said = [each["note"] for each in rows if each["student"] == name and not each["exercise"]]
        counts = f": {newest.split('/')[-1]}.ipynb counts"
        assert [counts in note for note in said] == [True] * len(older)


def test_a_table_that_can_not_be_written_is_told_and_not_lost(
    hand_in, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(check, "fresh_kernel", None)
    place = hand_in({}, "anna/07_tiny.ipynb")
    hand_in({}, "ben/07_tiny.ipynb")
    assert check.main(tmp_path / "nowhere", tmp_path / "t.csv", 1, 1) == 1
    assert "no folder" in capsys.readouterr().err
    assert check.main(tmp_path / "handed in", place / "table.csv", 1, 1) == 1
    printed = capsys.readouterr()  # known before anything runs
    assert "can't be written" in printed.err and "not answered" not in printed.out
    held = Mock(side_effect=[None, *[PermissionError("held")] * 3])
    monkeypatch.setattr(check, "write_table", held)
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
    assert results(checked(), "ben") == ALL_PASS


@windows
def test_stopped_it_leaves_a_table_and_no_kernel(hand_in, tiny, tmp_path):
    sign = f"stop{os.getpid()}"
    wait = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WAIT!r}, {sign!r}])"
    hand_in(RIGHT, "anna/07_tiny.ipynb")
    hand_in(RIGHT | {"ex-tiny-1": wait}, "ben/07_tiny.ipynb")
    program = (
        "import pathlib, signal, sys\n"
        "from tools.course import check, exercises\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the shell may ignore it
        "book, folder, table = map(pathlib.Path, sys.argv[1:])\n"
        "exercises.chapters = lambda: [book]\n"
        "sys.exit(check.main(folder, table, 500, 2000))"
    )
    table = tmp_path / "table.csv"
    command = [sys.executable, "-c", program, tiny, tmp_path / "handed in", table]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "1 of 2: anna\n"
        try:
            while not with_sign(sign):
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 1
        finally:
            running.kill()
    assert "anna,07_tiny,ex-tiny-1,The sum?,passed" in table.read_text("utf-8-sig")
    assert with_sign(sign) == []


def test_a_kernel_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(tmp_path))
    with kernels.fresh_kernel(MEMORY_MB) as kernel:
        pid = kernel.process.pid
        assert kernel.run("import os", 10, "os.getcwd()").text == repr("/work")
        assert kernel.run("", 10, "os.environ['HOME']").text == repr("/home")
        if sys.platform == "linux":  # or else it is looked at now and then
            assert kernel.run("b'x' * 10**9", 60).status == "memory" and psutil.pid_exists(pid)
    assert list(tmp_path.iterdir()) == []
    assert not psutil.pid_exists(pid)
