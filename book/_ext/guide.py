"""A Sphinx extension: the directive `guide` shows what book/guide/ says on how to teach a chapter.

The slides take their notes and minutes from the same files (tools/course/slides.py).
"""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.course.guide import FOLDER, PARTS, read


def as_markdown(chapter: dict) -> list[str]:
    """Return a chapter of the guide as MyST: a heading a section, a definition a part of it."""
    lines = []
    for section in chapter["section"]:
        lines += [f"### {section['title']}", "", f"*{section['minutes']} minutes*", ""]
        for key, name in PARTS.items():
            if text := section.get(key, "").strip():
                lines += [name, *(": " + text).replace("\n", "\n  ").splitlines(), ""]
    return lines


class Guide(SphinxDirective):
    """`guide` with the number of a chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        number = int(self.arguments[0])
        path = FOLDER / f"chapter_{number}.toml"
        self.env.note_dependency(str(path))
        lines = as_markdown(read(number))
        parent = nodes.Element()
        source = StringList(lines, source=str(path))
        self.state.nested_parse(source, self.content_offset, parent, match_titles=True)
        return parent.children


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.add_directive("guide", Guide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
