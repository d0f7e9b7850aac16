"""A Sphinx extension: what lies beside the pages, made when the site is built.

The whole course and the plain chapters as archives, the slides, and for the button "download" the
plain copy of a chapter. The directive `downloads` links to them, and to the PDF where `make site`
says that it will be there.
"""

import os
import shutil
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.course import address, archives, plain, slides
from tools.course.address import ROOT
from tools.course.chapters import chapters

PDF = "transfer-learning-hands-on.pdf"
WHOLE = "the whole course: notebooks, pages, `helpers`, tests, pictures and networks"
CHAPTERS = "the chapters in plain Markdown, for any Jupyter "


class Downloads(SphinxDirective):
    """A list of links to the archives, in `..` of the page."""

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        depth = self.env.docname.count("/")
        package = address.read().package
        needs = "(they install `helpers`)" if package else "in which `helpers` is installed"
        files = {archives.COURSE: WHOLE, archives.CHAPTERS: CHAPTERS + needs}
        if os.environ.get("WITH_PDF"):
            files[PDF] = "the book to print: all pages, the solutions at the end"
        lines = [
            f'- <a href="{"../" * depth}{name}" download>{name}</a>: {what}'
            for name, what in files.items()
        ]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines), self.content_offset, parent)
        return parent.children


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the archives, the slides and the plain copies."""
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    archives.pack_course(out / archives.COURSE)
    copies = plain.all_copies()
    archives.pack_chapters(out / archives.CHAPTERS, copies)
    shutil.rmtree(out / "slides", ignore_errors=True)
    slides.main(out / "slides")
    (out / "_sources" / "notebooks").mkdir(parents=True, exist_ok=True)  # not there without git
    for name, text in copies.items():
        (out / "_sources" / "notebooks" / name).write_text(text, "utf8")


def substitute(app: Sphinx, config) -> None:
    """Let pages say `{{ version }}`, and `{{ decks }}` for links to the slides of each chapter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    stems = [path.stem for path in chapters()]
    decks = [f'<a href="../slides/{stem}.html">{i}</a>' for i, stem in enumerate(stems, 1)]
    made = {"version": project["version"], "decks": " · ".join(decks)}
    config.myst_substitutions = config.myst_substitutions | made


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("config-inited", substitute)
    app.add_directive("downloads", Downloads)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
