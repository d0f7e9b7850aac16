"""The chapters, in the order of `_toc.yml`, which is the one list of them."""

from pathlib import Path

import yaml

from tools.course.address import ROOT


def pages() -> list[str]:
    """Return every page of the book as `_toc.yml` names it: a path without an ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def chapters() -> list[Path]:
    """Return the notebooks of the book: chapter 1 comes first."""
    return [ROOT / f"{page}.ipynb" for page in pages() if page.startswith("notebooks/")]
