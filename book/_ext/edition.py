"""A Sphinx extension: every page says which pictures and weights made the outputs of this site.

A build shows the outputs that are stored in the notebooks, those of the rendered edition. With
`EDITION=photos` in the environment it runs the notebooks, on the photographs that are present, and
shows what they print then.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config

from helpers import assets

ANNOUNCEMENT = (
    "Photographs: the outputs on this site were made on {assets}. The text holds for every "
    "edition; boxes titled “What we saw” give the results of both."
)
FOOTER = "<p>Outputs on this site: {assets}.</p>"


def say_edition(app: Sphinx, config: Config) -> None:
    """Put the edition of each asset into the footer; run the notebooks where that is asked for."""
    photos = os.environ.get("EDITION") == "photos"
    found = [assets.resolve(name, "photos" if photos else "rendered") for name in assets.PHOTOS]
    names = "; ".join(f"{asset.summary} ({asset.edition})" for asset in found)
    config.html_theme_options["extra_footer"] = FOOTER.format(assets=names)
    if photos:
        os.environ |= {"EXPLORERS": "page", "TQDM_DISABLE": "1"}  # as the stored ones were run
        config.nb_execution_mode = "force"
        config.nb_execution_timeout = -1
        config.nb_execution_raise_on_error = True
        config.html_theme_options["announcement"] = ANNOUNCEMENT.format(assets=names)


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("config-inited", say_edition)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
