"""The checks of the exercises: right answers pass, whatever their way; wrong ones get a hint.

Wrong answers are those that students give or would invent. Both lie in `answers`, by chapter.
"""

import contextlib
import io
import tomllib
from pathlib import Path

import matplotlib as mpl
import pytest

from tools.course import exercises
from tools.course.chapters import chapters

ANSWERS = Path(__file__).parent / "answers"


def judge(lesson, answer, check):
    """Return what the check says against an answer; nothing if it passes."""
    names = dict(lesson)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(answer, names)
        try:
            exec(check, names)
        except AssertionError as error:
            return str(error) or "no hint"
    return ""


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_each_check_tells_right_from_wrong(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    mpl.use("agg")
    chapter = exercises.read_chapter(path)
    answers = tomllib.loads((ANSWERS / f"{path.stem[:2]}.toml").read_text("utf8"))
    checked = {each.label: each for each in chapter.exercises if each.check}
    assert checked.keys() == answers.keys()
    for label, exercise in checked.items():
        right, wrong = answers[label]["right"], answers[label]["wrong"]
        assert len(right) >= 3 and len(wrong) >= 5, label
        names = exercises.wanted(exercise.check, set()) - set(exercise.names)
        for answer in [*right, *(code for _, code in wrong)]:
            names |= exercises.wanted(answer, set())
        lesson: dict = {}
        exec(exercises.needed(chapter.lesson, names), lesson)
        for answer in right:
            assert judge(lesson, answer, exercise.check) == "", (label, answer)
        for hint, answer in wrong:
            said = judge(lesson, answer, exercise.check)
            assert said and hint in said, (label, answer, said)
