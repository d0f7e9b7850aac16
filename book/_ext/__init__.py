"""The book's own Sphinx extensions, a module a job: Sphinx loads this package."""

from sphinx.application import Sphinx

from . import address, downloads, edition, guide, in_page, mathml, offline, search, tables

MODULES = (address, offline, edition, tables, mathml, search, guide, in_page, downloads)


def setup(app: Sphinx) -> dict:
    """Set up each of them, in this order."""
    for module in MODULES:
        module.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
