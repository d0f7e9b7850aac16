"""Where the book's repository and its site are: read in one place, and put on every page.

`_config.yml` may name both (`repository.url`, `html.baseurl`). Where it names none, a workflow of
GitHub does: `GITHUB_REPOSITORY`, and the address that its Pages have. Without an address there are
no buttons, rather than dead ones.
"""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).parents[2]
PYTHON_PACKAGE = "transfer-learning-hands-on"


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
        if url == repository and parts.netloc == "github.com" and parts.path.count("/") != 2:
            raise ValueError(f"_config.yml, {place}: expected an owner and a name; got {url!r}")
    if not site and urlsplit(repository).netloc == "github.com":
        owner, name = repository.split("/")[-2:]
        host = f"{owner.lower()}.github.io"  # of its GitHub Pages
        site = f"https://{host}" if name.lower() == host else f"https://{host}/{name}"
    return Address(
        repository or None,
        setting("repository", "branch") or "main",
        site.rstrip("/") + "/" if site else None,
        hub or None,
    )
