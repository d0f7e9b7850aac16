"""Where the book's repository and its site are: read in one place, and put on every page.

`_config.yml` may name both (`repository.url`, `html.baseurl`). Where it names none, a workflow of
GitHub does: `GITHUB_REPOSITORY`, and the address that its Pages have. Without an address there are
no buttons, rather than dead ones.

This is a Sphinx extension as well: with an address, every page gets links to its source, to edit it
and to report a mistake, and every chapter gets buttons that launch it elsewhere.
"""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).parent.parent
PLAIN_BRANCH = "plain"  #: the copies of the chapters for Colab, which knows no MyST
PYTHON_PACKAGE = "transfer-learning-hands-on"
LAUNCH = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


class Address(NamedTuple):
    """Where the book is; None for what has no address."""

    repository: str | None = None  #: without a slash at the end
    branch: str = "main"
    site: str | None = None  #: with a slash at the end
    jupyterhub: str | None = None  #: a hub that has nbgitpuller

    @property
    def package(self) -> str | None:
        """Return what pip installs `helpers` from."""
        if self.repository and "github.com/" in self.repository:
            return f"{self.repository}/archive/refs/heads/{self.branch}.zip"
        if self.repository:
            return f"git+{self.repository}@{self.branch}"
        return f"{self.site}{PYTHON_PACKAGE}.zip" if self.site else None


def read(config: Path = ROOT / "_config.yml", environment=os.environ) -> Address:
    """Read the addresses; raise a ValueError that names one of a wrong form."""
    settings = yaml.safe_load(config.read_text("utf8")) or {}

    def setting(part: str, name: str) -> str:
        group = settings.get(part) or {}
        if not isinstance(group, dict):
            raise ValueError(f"_config.yml, {part}: expected {name} in it; got {group!r}")
        return str(group.get(name) or "")

    repository = setting("repository", "url").rstrip("/").removesuffix(".git")
    site, hub = setting("html", "baseurl"), setting("launch_buttons", "jupyterhub_url")
    if not repository and (name := environment.get("GITHUB_REPOSITORY")):
        server = environment.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        repository = f"{server}/{name}"
    for place, url in (("repository.url", repository), ("html.baseurl", site), ("hub", hub)):
        parts = urlsplit(url)
        if url and not (parts.scheme == "https" and parts.netloc):
            raise ValueError(f"_config.yml, {place}: expected https://…, or nothing; got {url!r}")
        if (
            place == "repository.url"
            and parts.netloc == "github.com"
            and parts.path.count("/") != 2
        ):
            raise ValueError(f"_config.yml, {place}: expected an owner and a name; got {url!r}")
    if not site and urlsplit(repository).netloc == "github.com":
        site = pages_of(*repository.split("/")[-2:])
    return Address(
        repository or None,
        setting("repository", "branch") or "main",
        site.rstrip("/") + "/" if site else None,
        hub or None,
    )


def pages_of(owner: str, name: str) -> str:
    """Return the address of a repository's GitHub Pages."""
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


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
