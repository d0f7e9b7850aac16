"""One parser of MyST: with any number of colons, all that is made of a chapter agrees."""

import nbformat
import pytest
import tiny_chapter

from tools.course import exercises, hand_ins, myst, plain, slides, student
from tools.course.address import Address


def test_a_text_is_read_line_by_line_and_directives_with_all_they_hold():
    outer = "::::{admonition} Read *it*\n:class: answer dropdown\n:name: a-b\nText.\n\n"
    inner = ":::{figure} a.svg\n:alt: A\n:::"
    text = f"Before\n{outer}{inner}\n::::\n\nafter\r\n```\n:::{{note}}\n:::\n```"
    parts = myst.parse(text)
    (box,) = (part for part in parts if isinstance(part, myst.Directive))
    assert box[:2] == ("admonition", "Read *it*")
    assert box.options == {"class": "answer dropdown", "name": "a-b"}
    assert box.body == f"Text.\n\n{inner}"
    assert [part for part in parts if part is not box] == [
        "Before", "", "after", "```", ":::{note}", ":::", "```",
    ]  # fmt: skip
    assert myst.join(parts) == text.replace("\r", "")
    assert myst.directives(text, "figure") == []
    assert myst.directives(box.body, "figure")[0].options == {"alt": "A"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (":::{admonition} Open\ntext", "not closed by :::"),
        ("::::{exercise} A\n:::{figure} b\n:::", "not closed by ::::"),
        ("a\n:::\nb\n:::", "a directive's name"),
    ],
)
def test_what_myst_would_show_otherwise_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        myst.parse(text)


@pytest.mark.parametrize("fence", [":::", "::::"])
def test_plain_copies_students_copies_slides_and_checks_agree(fence, tmp_path):
    path = tiny_chapter.write(tmp_path / "07_tiny.ipynb", fence)
    copy = plain.plain_notebook(path, address=Address())
    ids = [cell.id for cell in copy.cells]
    texts = {name: "\n".join(cell.source for cell in made.cells) for name, made in (
        ("plain", copy), ("student", student.student_copy(path)),
        ("key", plain.plain_notebook(path, last=False)),
    )}  # fmt: skip
    assert not [name for name, text in texts.items() if "::" in text]
    lesson, solutions = texts["plain"].split("\n## Solutions\n")
    assert "# the solution" not in lesson and lesson.count("### Exercise: ") == 4
    assert [line for line in solutions.split("\n") if "###" in line] == [
        f"### Solution: {title}" for title in tiny_chapter.TITLES[:3]
    ]
    assert solutions.count("# the solution") == solutions.count("It means much.") == 3
    assert len(set(ids)) == len(ids) and ids.index("solutions") > ids.index("quiz")
    assert not [word for word in ("solution", "Because", "means") if word in texts["student"]]
    assert texts["student"].count("### Exercise: ") == 4 and "## Quiz" in texts["student"]
    order = [line for line in texts["key"].split("\n") if "**Solution**" in line or "###" in line]
    assert order[1::2] == ["**Solution**"] * 3
    assert order[::2] == [f"### Exercise: {title}" for title in tiny_chapter.TITLES]

    chapter = exercises.read_chapter(path)
    assert [each.title for each in chapter.exercises] == tiny_chapter.TITLES
    assert [each.source for each in chapter.exercises] == [*tiny_chapter.CHECKED.values(), ""]
    assert [code[:7] for code in chapter.lesson] == ["numbers", "raise S"]
    source = nbformat.read(path, 4).cells[4].source
    for text in (source, source.replace("\n", "\r\n"), "### exercise:  **The sum**"):
        assert [each.label for each in hand_ins.titled(text, chapter)] == ["ex-tiny-1"]
    deck = slides.Deck("07_tiny", {})
    deck.markdown(source)
    assert "The sum?" in deck.html() and "::" not in deck.html() and "Do it." not in deck.html()
