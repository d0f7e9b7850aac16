"""The quizzes: one right answer, a reason for all, and the chapters show what the files say."""

import json

import pytest

from tools.course.chapters import chapters
from tools.measure import write_quizzes
from tools.measure.write_quizzes import BOOK, letter
from tools.measure.write_tables import edit_notebook

QUIZZES = write_quizzes.read_all()


def test_the_chapters_and_the_page_of_answers_show_the_quizzes():
    for path, questions in zip(chapters(), QUIZZES.values(), strict=True):
        notebook = json.loads(path.read_text("utf8"))
        cells = ["".join(cell["source"]) for cell in notebook["cells"]]
        (shown,) = [cell for cell in cells if cell.startswith(write_quizzes.TITLE)]
        assert shown == write_quizzes.cell(questions), "run python -m tools.measure.write_quizzes"
    page = (BOOK / "answers.md").read_text("utf8")
    assert page == write_quizzes.answers(QUIZZES), "run python -m tools.measure.write_quizzes"
    for chapter, questions in QUIZZES.items():
        part = page.split(f"## Chapter {chapter}")[1].split("##")[0]
        for number, question in enumerate(questions, 1):
            assert f"{number}. **{letter(question)}).**" in part


@pytest.mark.parametrize("questions", QUIZZES.values(), ids=str)
def test_a_question_has_answers_of_one_length_and_a_reason_for_all(questions):
    assert len(questions) >= 3
    for question in questions:
        assert question["text"].endswith("?")
        assert set(question) == {"text", "answer"} and 3 <= len(question["answer"]) <= 4
        for answer in question["answer"]:
            assert set(answer) <= {"text", "why", "right"} and answer["why"].endswith(".")
        texts = [answer["text"] for answer in question["answer"]]
        assert len(set(texts)) == len(texts)
        longest = max(texts, key=len)
        assert len(longest) < 2 * min(map(len, texts)), "the right one is known by its length"


def test_the_right_answer_may_be_any():
    letters = [letter(question) for questions in QUIZZES.values() for question in questions]
    for mark in "abc":
        assert letters.count(mark) >= len(letters) / 5
    assert all(len(set(map(letter, questions))) > 1 for questions in QUIZZES.values())


@pytest.mark.parametrize(
    "second", ['why = "y."', 'why = " "\nright = true', 'why = "y."\nright = true']
)
def test_a_question_without_one_right_answer_or_a_reason_is_refused(second, tmp_path):
    first = 'why = "x."\nright = true' if second.endswith('"y."\nright = true') else 'why = "x."'
    answers = "".join(f'[[question.answer]]\ntext = "a"\n{more}\n' for more in (first, second))
    path = tmp_path / "chapter_1.toml"
    path.write_text(f'[[question]]\ntext = "Which one?"\n{answers}')
    with pytest.raises(ValueError, match=r"chapter_1\.toml: .*Which one"):
        write_quizzes.read(path)


def test_editing_changes_markdown_and_nothing_else(tmp_path):
    kinds = {"# A": "markdown", "## Quiz\n\nold": "markdown", "old = 1\n": "code"}
    cells = [{"cell_type": kind, "source": [text]} for text, kind in kinds.items()]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    edit_notebook(path, lambda text: text.replace("old", "new é"))
    written = json.loads(path.read_text("utf8"))
    texts = ["".join(cell["source"]) for cell in written["cells"]]
    assert texts == ["# A", "## Quiz\n\nnew é", "old = 1\n"] and written["nbformat"] == 4
