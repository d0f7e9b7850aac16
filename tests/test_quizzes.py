"""The quizzes: one right answer, a reason for all, and the chapters show what the files say."""

import json

import pytest

from tools.course.chapters import chapters
from tools.measure import write_quizzes
from tools.measure.write_quizzes import ROOT, letter

CHAPTERS = range(1, len(chapters()) + 1)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_shows_its_quiz(chapter):
    notebook = json.loads(chapters()[chapter - 1].read_text("utf8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"]]
    (shown,) = [cell for cell in cells if cell.startswith(write_quizzes.TITLE)]
    assert shown == write_quizzes.cell(write_quizzes.read(chapter)), (
        "run python -m tools.measure.write_quizzes"
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_question_has_one_right_answer_and_a_reason_for_all(chapter):
    questions = write_quizzes.read(chapter)
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
    letters = [letter(question) for chapter in CHAPTERS for question in write_quizzes.read(chapter)]
    for mark in "abc":
        assert letters.count(mark) >= len(letters) / 5
    for chapter in CHAPTERS:
        assert len(set(map(letter, write_quizzes.read(chapter)))) > 1


def test_the_page_of_answers_is_that_of_the_files():
    quizzes = {chapter: write_quizzes.read(chapter) for chapter in CHAPTERS}
    page = (ROOT / "book" / "answers.md").read_text("utf8")
    assert page == write_quizzes.answers(quizzes), "run python -m tools.measure.write_quizzes"
    for chapter, questions in quizzes.items():
        part = page.split(f"## Chapter {chapter}")[1].split("##")[0]
        for number, question in enumerate(questions, 1):
            assert f"{number}. **{letter(question)}).**" in part


@pytest.mark.parametrize(
    "answers",
    [
        'text = "a"\nwhy = "x."\n[[question.answer]]\ntext = "b"\nwhy = "y."',
        'text = "a"\nwhy = "x."\nright = true\n[[question.answer]]\ntext = "b"\nwhy = " "',
        'text = "a"\nwhy = "x."\nright = true\n[[question.answer]]\ntext = "b"\nwhy = "y."\n'
        "right = true",
    ],
)
def test_a_question_without_one_right_answer_or_a_reason_is_refused(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(write_quizzes, "ROOT", tmp_path)
    (tmp_path / "book" / "quizzes").mkdir(parents=True)
    text = f'[[question]]\ntext = "Which one?"\n[[question.answer]]\n{answers}\n'
    (tmp_path / "book" / "quizzes" / "chapter_1.toml").write_text(text)
    with pytest.raises(ValueError, match=r"chapter_1\.toml: .*Which one"):
        write_quizzes.read(1)


def test_writing_replaces_the_quiz_and_nothing_else(tmp_path):
    cells = [{"cell_type": "markdown", "source": [text]} for text in ("# A", "## Quiz\n\nold", "z")]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    write_quizzes.write(path, "## Quiz\n\nnew é")
    written = json.loads(path.read_text("utf8"))
    texts = ["".join(cell["source"]) for cell in written["cells"]]
    assert texts == ["# A", "## Quiz\n\nnew é", "z"] and written["nbformat"] == 4
