"""A Sphinx extension: a search that finds sections, terms and functions, with excerpts.

Sphinx's own search finds pages only, and in a folder it can't read them for excerpts. This one puts
the text of every section into a script, which also loads from a folder, for MiniSearch to look in.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

Part = nodes.section | addnodes.desc | nodes.definition_list_item


def parts_of(doctree: nodes.document) -> Iterator[tuple[str, str, Part]]:
    """Yield anchor, title and node of each section, each function and each term."""
    for section in doctree.findall(nodes.section):
        if isinstance(section[0], nodes.title):  # a box of an exercise has none
            yield section["ids"][0], section[0].astext(), section
    for function in doctree.findall(addnodes.desc):
        if ids := function[0].get("ids"):
            yield ids[0], ids[0].removeprefix("helpers."), function
    for item in doctree.findall(nodes.definition_list_item):
        if ids := item[0].get("ids"):
            yield ids[0], item[0].astext(), item


def text_of(part: nodes.Node) -> str:
    """Return the text of a part, without that of parts within it, outputs and raw HTML."""
    if isinstance(part, nodes.Text):
        return part.astext()
    if isinstance(part, nodes.raw | nodes.image | nodes.title | nodes.term) or (
        isinstance(part, nodes.Element) and "cell_output" in part.get("classes", ())
    ):
        return ""
    inside = [child for child in part.children if not isinstance(child, Part)]
    space = "" if isinstance(part, nodes.TextElement) else " "
    return space.join(text_of(child) for child in inside)


def collect(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Note the parts of a page."""
    if doctree is None:
        return
    found = app.env.__dict__.setdefault("search_parts", {})
    title = re.sub(r"<[^>]+>", "", context["title"])
    found[page] = [
        {"page": title, "url": f"{page}.html#{anchor}", "title": name,
         "text": " ".join(text_of(part).split())}
        for anchor, name, part in parts_of(doctree)
    ]  # fmt: skip


def write_parts(app: Sphinx, error: Exception | None) -> None:
    """Write the script that holds the text of all parts."""
    if error or app.builder.name != "html":
        return
    found = app.env.__dict__.get("search_parts", {})
    parts = [part for page in sorted(found) for part in found[page]]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    path = Path(app.outdir) / "_static" / "parts.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"window.PARTS = {text};\n", "utf8")


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("html-page-context", collect, priority=600)
    app.connect("build-finished", write_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
