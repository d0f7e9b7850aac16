"""The MyST of the chapters: one parser for plain copies, slides, students' copies and checks.

A directive stands between two fences of three or more colons. Fences nest: the outer ones have
more colons. Code stays code, whatever it looks like.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from nbformat import NotebookNode

OPENS = re.compile(r"\{([\w-]+)\}\s*(.*)")
OPTION = re.compile(r":([\w-]+):\s*(.*)")
BLOCKS = MarkdownIt("commonmark").disable("inline").use(colon_fence_plugin)


class Directive(NamedTuple):
    """A directive; `parse` reads its body in turn."""

    name: str
    title: str  #: what stands behind the name
    options: dict[str, str]
    body: str
    source: str  #: all of it, with its fences


class Piece(NamedTuple):
    """A cell, or as much of a cell of text as stands inside or outside of a solution."""

    cell: NotebookNode
    id: str  #: the cell's, with a number behind it if this is not the cell's first piece
    in_solution: bool
    text: str


def parse(text: str) -> list[str | Directive]:
    """Return the lines of a text, and in place of those of a directive the directive.

    Raises a ValueError if a directive is not closed, or has no name.
    """
    lines, parts, line = text.replace("\r", "").split("\n"), [], 0
    for token in BLOCKS.parse("\n".join(lines)):
        if token.type != "colon_fence" or token.level or not token.map:
            continue
        start, end = token.map
        if not (opens := OPENS.match(token.info)):
            raise ValueError(f"{lines[start]}: expected a directive's name, such as {{figure}}")
        if end - start < 2 or not re.fullmatch(f"{token.markup}:*", lines[end - 1].strip()):
            raise ValueError(f"{lines[start]}: this directive is not closed by {token.markup}")
        options, body = {}, token.content.split("\n")[:-1]
        while body and (option := OPTION.match(body[0])):
            options[option[1]] = option[2]
            body.pop(0)
        source = "\n".join(lines[start:end])
        parts += lines[line:start]
        parts.append(Directive(opens[1], opens[2].strip(), options, "\n".join(body), source))
        line = end
    return parts + lines[line:]


def directives(text: str, name: str) -> list[Directive]:
    """Return the directives of that name in a text, but for those in others."""
    parts = [part for part in parse(text) if isinstance(part, Directive)]
    return [part for part in parts if part.name == name]


def join(parts: Iterable[str | Directive]) -> str:
    """Return the text of lines and directives."""
    return "\n".join(part if isinstance(part, str) else part.source for part in parts)


def pieces(cells: Iterable[NotebookNode]) -> Iterator[Piece]:
    """Give the cells of a notebook; split one of text where a solution starts or ends."""
    inside = False
    for cell in cells:
        found: list[tuple[bool, list[str | Directive]]] = []
        for part in parse(cell.source) if cell.cell_type == "markdown" else [cell.source]:
            name = part.name if isinstance(part, Directive) else ""
            inside |= name == "solution-start"
            if not found or found[-1][0] != inside:
                found.append((inside, []))
            found[-1][1].append(part)
            inside &= name != "solution-end"
        for i, (in_solution, parts) in enumerate(found):
            yield Piece(cell, f"{cell.id}-{i}" if i else cell.id, in_solution, join(parts))
