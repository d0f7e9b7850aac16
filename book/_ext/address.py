"""A Sphinx extension: buttons and links that need the book's address.

With an address, every page gets links to its source, to edit it and to report a mistake, and every
chapter gets buttons that launch it elsewhere.
"""

from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config

from tools.course.address import read

PLAIN_BRANCH = "plain"  #: the copies of the chapters for Colab, which knows no MyST
LAUNCH = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


def put_into_theme(app: Sphinx, config: Config) -> None:
    """Give the theme the addresses that there are."""
    address = read()
    options = config.html_theme_options
    options["launch_buttons"] = {}
    for button in ("repository", "edit_page", "issues"):
        options[f"use_{button}_button"] = bool(address.repository)
    if address.repository:
        options |= {"repository_url": address.repository, "path_to_docs": ""}
        options["repository_branch"] = address.branch
        options["launch_buttons"] = LAUNCH | {"jupyterhub_url": address.jupyterhub or ""}
    if address.site:
        config.html_baseurl = config.ogp_site_url = address.site
        config.notfound_urls_prefix = urlsplit(address.site).path
    else:
        config.ogp_image = None


def to_plain_copy(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Let the button for Colab open the plain copy of a chapter."""
    branch = app.config.html_theme_options.get("repository_branch")
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{PLAIN_BRANCH}/")


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    if read().site:
        app.setup_extension("sphinx_sitemap")
        app.config.sitemap_url_scheme = "{link}"
    app.connect("config-inited", put_into_theme, priority=100)
    app.connect("html-page-context", to_plain_copy, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
