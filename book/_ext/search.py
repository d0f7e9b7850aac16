"""A Sphinx extension: a search that finds sections, terms and functions, with excerpts.

Sphinx's own search finds pages, titles of sections and names of functions. Its excerpts come from
the pages, which a page in a folder can't read, and it knows no terms. So the text of every section
goes into one script, for MiniSearch to look in, and Sphinx writes no index of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder

Part = nodes.section | addnodes.desc | nodes.definition_list_item


def parts_of(doctree: nodes.document) -> Iterator[tuple[str, str, Part]]:
    """Yield anchor, title and node of each section, each function and each term."""
    for section in doctree.findall(nodes.section):
        if isinstance(section[0], nodes.title):  # a box of an exercise has none
            yield section["ids"][0], section[0].astext(), section
    for kind in (addnodes.desc, nodes.definition_list_item):
        for part in doctree.findall(kind):
            heading = part[0]  # the signature, or the term
            if isinstance(heading, nodes.Element) and heading["ids"]:
                anchor = heading["ids"][0]
                is_term = isinstance(heading, nodes.term)
                yield anchor, heading.astext() if is_term else anchor.removeprefix("helpers."), part


def is_left_out(part: nodes.Node) -> bool:
    """Tell whether a part has no place in an excerpt: no prose, or an answer that is folded."""
    if isinstance(
        part, nodes.raw | nodes.image | nodes.title | nodes.term | addnodes.desc_signature
    ):
        return True
    if not isinstance(part, nodes.Element):
        return False
    folded = {"cell_output", "dropdown"} & set(part.get("classes", ()))
    folded = folded or part.get("design_component") == "dropdown"
    return bool(folded) or part.tagname.startswith("solution")


def text_of(part: nodes.Node) -> str:
    """Return the text of a part, without that of parts within it and of what is left out."""
    if isinstance(part, nodes.Text):
        return part.astext()
    if is_left_out(part):
        return ""
    inside = [child for child in part.children if not isinstance(child, Part)]
    space = "" if isinstance(part, nodes.TextElement) else " "
    return space.join(text_of(child) for child in inside)


def parts_of_page(app: Sphinx, page: str) -> list[dict[str, str]]:
    """Return what the search shows of each part of a page, and where it is."""
    title = app.env.titles[page].astext()
    return [
        {
            "page": title,
            "url": f"{page}.html#{anchor}",
            "title": name,
            "text": " ".join(text_of(part).split()),
        }
        for anchor, name, part in parts_of(app.env.get_doctree(page))
    ]


def write_parts(app: Sphinx, error: Exception | None) -> None:
    """Write the script that holds the text of all pages, also of those not written anew."""
    if error or app.builder.name != "html":
        return
    parts = [part for page in sorted(app.env.found_docs) for part in parts_of_page(app, page)]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    path = Path(app.outdir) / "_static" / "parts.js"
    path.write_text(f"window.PARTS = {text};\n", "utf8")


def replace_own_search(app: Sphinx) -> None:
    """Let Sphinx write the page of the search, and no index."""
    if isinstance(app.builder, StandaloneHTMLBuilder):
        app.builder.search = False
        app.config.html_additional_pages["search"] = "search.html"


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("builder-inited", replace_own_search)
    app.connect("build-finished", write_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
