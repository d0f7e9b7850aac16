"""A Sphinx extension: the page for teachers shows what book/guide/ says on each chapter.

Its source has a comment where that comes: `<!-- minutes -->` is replaced by the rows of a table,
`<!-- guide -->` by the notes. The slides take theirs from the same files (tools/course/slides.py).
"""

from sphinx.application import Sphinx

from tools.course.chapters import chapters, title
from tools.course.guide import FOLDER, PARTS, read

PAGE = "book/teaching"


def minutes() -> str:
    """Return a row for each chapter and one for all: minutes of sections, quiz, exercises, all."""
    table = {}
    for number, path in enumerate(chapters(), 1):
        by_title = {section["title"]: section["minutes"] for section in read(number)["section"]}
        total, quiz, exercises = sum(by_title.values()), by_title["Quiz"], by_title["Exercises"]
        name = f"{number} · [{title(path)}](../notebooks/{path.name})"
        table[name] = total - quiz - exercises, quiz, exercises, total
    table["all"] = tuple(map(sum, zip(*table.values(), strict=True)))
    rows = [[name, *map(str, numbers)] for name, numbers in table.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def notes() -> str:
    """Return the guide as MyST: a heading a chapter and a section, a definition a part of it."""
    lines = []
    for number, path in enumerate(chapters(), 1):
        lines += [f"(guide-{number})=", f"## Chapter {number} · {title(path)}", ""]
        for section in read(number)["section"]:
            lines += [f"### {section['title']}", "", f"*{section['minutes']} minutes*", ""]
            for key, name in PARTS.items():
                if text := section.get(key, "").strip():
                    lines += [name, *(": " + text).replace("\n", "\n  ").splitlines(), ""]
    return "\n".join(lines)


def put_in(app: Sphinx, page: str, source: list[str]) -> None:
    """Put both into the source of the page for teachers."""
    if page == PAGE:
        for path in [*FOLDER.glob("*.toml"), *chapters()]:
            app.env.note_dependency(str(path))
        source[0] = source[0].replace("<!-- minutes -->", minutes())
        source[0] = source[0].replace("<!-- guide -->", notes())


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("source-read", put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
