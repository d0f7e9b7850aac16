"""The chapters, in the order of `_toc.yml`, which is the one list of them."""

import json
from pathlib import Path

import yaml

from tools.course.address import ROOT


def pages() -> list[str]:
    """Return every page of the book as `_toc.yml` names it: a path without an ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def notebooks() -> list[Path]:
    """Return the notebooks of the book: "Ten minutes", then the chapters."""
    return [ROOT / f"{page}.ipynb" for page in pages() if page.startswith("notebooks/")]


def chapters() -> list[Path]:
    """Return the notebooks of the chapters."""
    return notebooks()[1:]


def title(path: Path) -> str:
    """Return the title of a chapter, which is the first line of its notebook."""
    first = json.loads(path.read_text("utf8"))["cells"][0]
    return "".join(first["source"]).split("\n")[0].removeprefix("# ")
