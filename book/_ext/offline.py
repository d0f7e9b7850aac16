"""A Sphinx extension: the built site asks no other host for anything, and holds no idle scripts.

Jupyter Book puts the scripts of Thebe on every page, which come from a CDN. The book has no use for
them, so they are taken off. What only some pages load is served from `static/served`; what every
page loads lies in `static/_static` and is named in `_config.yml`.
"""

from pathlib import Path

from sphinx.application import Sphinx

SERVED = Path(__file__).parents[1] / "static" / "served"
#: What Sphinx and its themes write for pages that load it; book/templates/ and this module see to
#: it that no page does: Thebe, all icons of Font Awesome, and Sphinx's own search.
IDLE = ("scripts/fontawesome.js*", "sphinx-thebe.*", "searchtools.js", "language_data.js")


def take_off_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Keep every script and style sheet of a page but Thebe's."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if "thebe" not in str(file)]


def remove_idle(app: Sphinx, error: Exception | None) -> None:
    """Remove the scripts that no page loads."""
    for pattern in IDLE:
        for file in (Path(app.outdir) / "_static").glob(pattern):
            file.unlink()


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("html-page-context", take_off_thebe, priority=900)
    app.connect(
        "builder-inited", lambda app: app.config.html_static_path.append(str(SERVED)), priority=1
    )
    app.connect("build-finished", remove_idle, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
