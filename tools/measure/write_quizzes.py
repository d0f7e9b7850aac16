"""Write the quizzes of book/quizzes into the chapters, and their answers into book/answers.md.

    python -m tools.measure.write_quizzes

A chapter's quiz is the cell that begins with "## Quiz". A file has questions, each with a `text`
and answers; an answer has a `text` and a `why`, and one of each question has `right = true`.
"""

import tomllib
from pathlib import Path
from string import ascii_lowercase

from tools.course.chapters import chapters
from tools.measure.write_tables import BOOK, edit_notebook, write_text

TITLE = "## Quiz"
HEAD = f"""{TITLE}

Choose before you open: each answer says why it is right or wrong."""
ANSWERS = """# Answers to the quizzes

The right answer to each question, for paper. On a screen, the answers in the chapters open.
"""


def read(path: Path) -> list[dict]:
    """Read the questions of a chapter; each has one right answer and a reason for all."""
    questions = tomllib.loads(path.read_text("utf8"))["question"]
    for question in questions:
        num_right = sum(answer.get("right", False) for answer in question["answer"])
        if num_right != 1 or not all(answer["why"].strip() for answer in question["answer"]):
            raise ValueError(f"{path.name}: one right answer and every why, in {question['text']}")
    return questions


def read_all() -> dict[int, list[dict]]:
    """Read the questions of all chapters."""
    numbers = range(1, len(chapters()) + 1)
    return {number: read(BOOK / "quizzes" / f"chapter_{number}.toml") for number in numbers}


def letter(question: dict) -> str:
    """Return the letter of the right answer."""
    rights = [answer.get("right", False) for answer in question["answer"]]
    return ascii_lowercase[rights.index(True)]


def cell(questions: list[dict]) -> str:
    """Return a chapter's quiz as Markdown."""
    parts = [HEAD]
    for number, question in enumerate(questions, 1):
        parts.append(f"**{number}.** {question['text']}")
        for mark, answer in zip(ascii_lowercase, question["answer"], strict=False):
            verdict = "Right" if answer.get("right") else "No"
            parts.append(
                f":::{{dropdown}} {mark}) {answer['text']}\n**{verdict}.** {answer['why']}\n:::"
            )
    return "\n\n".join(parts)


def answers(quizzes: dict[int, list[dict]]) -> str:
    """Return the page of answers."""
    parts = [ANSWERS]
    for chapter, questions in quizzes.items():
        parts.append(f"## Chapter {chapter}\n")
        for number, question in enumerate(questions, 1):
            (why,) = (answer["why"] for answer in question["answer"] if answer.get("right"))
            parts.append(f"{number}. **{letter(question)}).** {why}")
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Write all chapters and the answers."""
    quizzes = read_all()
    for path, questions in zip(chapters(), quizzes.values(), strict=True):
        new = cell(questions)
        edit_notebook(path, lambda old, new=new: new if old.startswith(TITLE) else old)
    write_text(BOOK / "answers.md", answers(quizzes))


if __name__ == "__main__":
    main()
