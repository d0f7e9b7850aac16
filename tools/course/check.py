"""Run what students have handed in, and write which exercises pass.

    anna/03_cifar10_feature_extraction.ipynb    a folder a student, or
    anna_03_cifar10_feature_extraction.ipynb    a file a student

Only the answers count. They run in a fresh kernel (`kernels`) behind what they need of the book's
own lesson, and the book's own check says what they are worth. It sees names and built-in functions
as they were before the answers, and its verdict comes with a number that is new each time. So what
an answer prints, asserts or shadows changes nothing.

Still the check meets what answers change in place: in a module, or in the data of the lesson. An
answer can be written to deceive this program, or to do harm (`kernels` says how far). A pass is no
proof: look at the answers that matter.
"""

import ast
import csv
import inspect
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from helpers.runtime import atomic_write
from tools.course import exercises, kernels
from tools.course.exercises import PROMPT, Chapter, Exercise
from tools.course.hand_ins import HandIn, answers_in, find
from tools.course.kernels import BROKEN, Kernel, Reply, fresh_kernel

LONGEST = 20_000  # characters, of an answer
LESSON_SECONDS = 1200  # for what answers need of a lesson
LATE = 4  # seconds: as long a kernel must live on after its last answer
HEAD = ["student", "chapter", "exercise", "title", "result", "note", "seconds"]
COPYING = threading.Lock()  # one copy of features at a time: a file that is being written is half


class Result(NamedTuple):
    """What became of an answer."""

    result: str  #: passed, failed, not answered, missing, error, of BROKEN, or open: has no check
    note: str = ""
    seconds: float = 0.0


class Limits(NamedTuple):
    """What an answer may take, and what a check of it."""

    seconds: int
    memory_mb: int


def code_in(cells: list[dict]) -> list[str]:
    """Return the sources of the cells of code."""
    return [cell["source"] for cell in cells if cell["type"] == "code"]


def first_look(exercise: Exercise, cells: list[dict]) -> Result | None:
    """Say what an answer is worth, if it need not run."""
    code = code_in(cells)
    if not exercise.check:
        text = " ".join(cell["source"].replace(PROMPT, "") for cell in cells).strip()
        return Result("open", text or "not answered")
    if not code:
        return Result("missing", "the cell for the answer is not there")
    if sum(map(len, code)) > LONGEST:
        return Result("error", f"longer than {LONGEST:,} characters")
    if not "".join(code).strip() or set(exercise.names) & exercises.left_open("\n".join(code)):
        return Result("not answered")
    return None


def check_chapter(
    chapter: Chapter, answers: dict[str, list[dict]], limits: Limits, features: Path
) -> dict[str, Result]:
    """Run the answers of a notebook; return what became of each, by label.

    All run together first. What does not pass runs again, in a kernel of its own; so do all if
    their kernel broke. So none is blamed for what another one does, now or later.
    """
    done, todo = {}, []
    for exercise in chapter.exercises:
        cells = answers.get(exercise.label, [])
        if look := first_look(exercise, cells):
            done[exercise.label] = look
        else:
            todo.append(replace(exercise, answer=tuple(code_in(cells))))
    run = partial(run_answers, chapter, limits=limits, features=features)
    together = run(todo) if todo else {}
    whole = not any(each.result in BROKEN for each in together.values())
    for label, each in together.items():
        if (whole and each.result == "passed") or len(together) == 1:  # which ran alone
            done[label] = each
    for place, exercise in enumerate(todo):
        if exercise.label not in done:
            sound = [each for each in todo[:place] if done[each.label].result not in BROKEN]
            *_, done[exercise.label] = run(with_needed(exercise, sound)).values()
    return done


def with_needed(exercise: Exercise, earlier: list[Exercise]) -> list[Exercise]:
    """Return an exercise behind those earlier ones whose answers it needs."""
    found = [exercise]
    for each in reversed(earlier):
        if "%%" in "".join(each.answer) or exercises.needed(list(each.answer), names_before(found)):
            found.insert(0, each)
    return found


def names_before(todo: list[Exercise]) -> set[str]:
    """Return the names that answers and their checks need of what runs before them."""
    names: set[str] = set()
    for part in reversed([part for exercise in todo for part in exercise.answer]):
        names = exercises.wanted(part, names)
    for exercise in todo:
        names |= exercises.wanted(exercise.check, set()) - set(exercise.names)
    return names


def run_answers(
    chapter: Chapter, todo: list[Exercise], limits: Limits, features: Path
) -> dict[str, Result]:
    """Run answers in a fresh kernel, up to the first that breaks it, be it a little later."""
    results = {}
    try:
        with fresh_kernel(limits.memory_mb) as kernel:
            prepare(kernel, exercises.needed(chapter.lesson, names_before(todo)), features)
            judge = bring_judge(kernel)
            for exercise in todo:
                result = results[exercise.label] = run_answer(kernel, judge, exercise, limits)
                if result.result in BROKEN:
                    return results
            start, wait = time.monotonic(), f"await __import__('asyncio').sleep({LATE})"
            if (reply := kernel.run(wait, LATE + limits.seconds)).status in BROKEN:
                results[todo[-1].label] = broken(reply, start, limits)
    except (OSError, RuntimeError) as error:
        return {exercise.label: Result("error", str(error)) for exercise in todo}
    return results


def prepare(kernel: Kernel, lesson: str, features: Path) -> None:
    """Run what answers need of a lesson; raise a RuntimeError if it fails.

    features: those that the lesson keeps are kept there, for the kernels that follow
    """
    with COPYING:
        shutil.copytree(features, kernel.folder / "features", dirs_exist_ok=True)
    reply = kernel.run(lesson, LESSON_SECONDS)
    if reply.status != "ok":
        raise RuntimeError(f"the book's own lesson did not run ({reply.status}): {reply.text}")
    with COPYING:
        shutil.copytree(kernel.folder / "features", features, dirs_exist_ok=True)


def bring_judge(kernel: Kernel) -> str:
    """Put a judge into the kernel; return its name there, which no answer can know beforehand."""
    name = f"judge_{secrets.token_hex(8)}"
    # With names of its own: those of the answers are none of its globals.
    kernel.run(f"{name} = {{}}; exec({JUDGE!r}, {name})", 60)
    built_in = f"__import__('builtins').{name}"  # which `%reset` does not delete
    kernel.run(f"{built_in} = {name}['make_judge'](globals()); del {name}", 60)
    return name


def make_judge(names: dict) -> "Callable[[str, list[str], str], tuple[str, str, str]]":
    """Return what judges an answer, with `names` and built-in functions as they are now.

    It is for the kernel, which knows nothing else of this module.
    """
    import builtins

    names_now, builtins_now = dict(names), dict(builtins.__dict__)
    restore = builtins.__dict__.update

    def judge(check, bound, nonce):
        restore(builtins_now)
        if missing := [name for name in bound if name not in names]:
            return nonce, "error", f"not there: {', '.join(missing)}"
        try:
            exec(compile(check, "check", "exec"), names_now | {name: names[name] for name in bound})
        except BaseException as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            return nonce, "failed", f"{kind}{error}"[:300] or "an assertion does not hold"
        return nonce, "passed", ""

    return judge


JUDGE = inspect.getsource(make_judge)


def run_answer(kernel: Kernel, judge: str, exercise: Exercise, limits: Limits) -> Result:
    """Run an answer and its check."""
    start, errors = time.monotonic(), []
    for part in exercise.answer:
        reply = kernel.run(part, limits.seconds + start - time.monotonic())
        if reply.status in BROKEN:
            return broken(reply, start, limits)
        errors += [reply.text] if reply.status == "error" else []
    nonce = secrets.token_hex(16)
    call = f"{judge}({exercise.check!r}, {exercise.names!r}, {nonce!r})"
    reply = kernel.run("", limits.seconds, value=call)
    if reply.status in BROKEN:
        return broken(reply, start, limits)
    try:
        number, result, note = ast.literal_eval(reply.text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        number = result = note = ""
    seconds = time.monotonic() - start
    if number != nonce:
        said = reply.text.replace(judge, "it")  # which has another name each time
        return Result("crashed", f"the check gave no result: {said}", seconds)
    return Result(result, errors[0] if errors and result == "error" else note, seconds)


def broken(reply: Reply, start: float, limits: Limits) -> Result:
    """Say what has become of an answer that broke its kernel."""
    note = f"longer than {limits.seconds} s" if reply.status == "timeout" else reply.text
    return Result(reply.status, note, time.monotonic() - start)


def rows_of(
    hand_ins: list[HandIn], chapters: list[Chapter], limits: Limits, features: Path
) -> list[list[str]]:
    """Return the rows of a student: what can't be read, then the exercises of all chapters."""
    student = hand_ins[0].student
    problems = [f"{each.path.name}: {each.problem}" for each in hand_ins if each.problem]
    rows = [row(student, "", Result("unreadable", problem)) for problem in problems]
    ordered = sorted(hand_ins, key=lambda it: (it.path.lstat().st_mtime, it.copy, str(it.path)))
    newest = {each.chapter.stem: each for each in ordered if each.chapter}
    for each in ordered:
        if each.chapter and (counts := newest[each.chapter.stem]) is not each:
            note = f"{each.path.name}: {counts.path.name} counts, the newer one of this chapter"
            rows.append(row(student, each.chapter.stem, Result("left out", note)))
    for chapter in chapters:
        results = {}
        if found := newest.get(chapter.stem):
            answers = answers_in(found.cells, chapter)
            results = check_chapter(chapter, answers, limits, features)
        for exercise in chapter.exercises:
            result = results.get(exercise.label, Result("missing", "no notebook of this chapter"))
            rows.append(row(student, chapter.stem, result, exercise))
    return rows


def row(student: str, chapter: str, result: Result, exercise: Exercise | None = None) -> list[str]:
    """Return a row of the table."""
    about = [exercise.label, exercise.title] if exercise else ["", ""]
    cells = [student, chapter, *about, result.result, result.note]
    return [*map(safe, cells), f"{result.seconds:.1f}"]


def safe(text: str) -> str:
    """Return a text as a cell of a table: one line, and nothing that a spreadsheet computes."""
    text = re.sub(r"\x1b\[[\d;]*m| at 0x[\da-fA-F]+", "", text).encode("utf8", "replace").decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def write_table(table: Path, rows: list[list[str]]) -> None:
    """Write the table anew; the mark in front tells Excel that it is UTF-8."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(table) as aside, aside.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([HEAD, *rows])


def summary(rows: list[list[str]]) -> str:
    """Return a line for each student: how many exercises passed, of those that can be checked."""
    checked = [row for row in rows if row[2] and row[4] != "open"]
    passed = Counter(row[0] for row in checked if row[4] == "passed")
    of = Counter(row[0] for row in checked)
    width = max([len(student) for student in of], default=0)
    return "\n".join(f"{each:{width}}  {passed[each]:2} of {of[each]:2} passed" for each in of)


def main(handed_in: Path, table: Path, seconds: int, memory_mb: int) -> int:
    """Check a folder of notebooks; return the exit status, which says nothing of the answers.

    handed_in: a folder with a folder or a file a student. table: the CSV to write, again after each
    student. seconds: for an answer, and as many for its check. memory_mb: for a kernel.
    """
    if not handed_in.is_dir():
        print(f"There is no folder {handed_in}.", file=sys.stderr)
        return 1
    chapters = exercises.read_chapters()
    students: dict[str, list[HandIn]] = {}
    for each in find(handed_in, chapters):
        if each.path.absolute() != table.absolute():
            students.setdefault(each.student, []).append(each)
    seen = {each.chapter.stem for found in students.values() for each in found if each.chapter}
    chapters = [each for each in chapters if each.stem in seen]
    rows: list[list[str]] = []
    try:
        write_table(table, rows)
        for found in in_parallel(list(students.values()), chapters, Limits(seconds, memory_mb)):
            rows += found
            with suppress(OSError):  # a spreadsheet may hold it, on Windows
                write_table(table, rows)
            print(f"{len({row[0] for row in rows})} of {len(students)}: {rows[-1][0]}", flush=True)
        write_table(table, rows)
    except KeyboardInterrupt:
        print(f"Stopped. {table} has those who are named above.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{table} can't be written: {error}", file=sys.stderr)
        csv.writer(sys.stdout).writerows(rows)  # or else all was in vain
        return 1
    print(f"{summary(rows)}\nThe table is in {table}.")
    return 0


def in_parallel(
    students: list[list[HandIn]], chapters: list[Chapter], limits: Limits
) -> Iterator[list[list[str]]]:
    """Give the rows of each student; check one on each processor, on up to four."""
    kernels.STOP.clear()
    with (
        tempfile.TemporaryDirectory(prefix="course-features-") as features,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        check = partial(rows_of, chapters=chapters, limits=limits, features=Path(features))
        try:
            yield from pool.map(check, students)
        except BaseException:  # such as Ctrl-C
            pool.shutdown(wait=False, cancel_futures=True)
            kernels.STOP.set()
            raise
