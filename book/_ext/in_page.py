"""A Sphinx extension: what the page "Teach it yourself" needs, on that page only.

All that it loads is packed into scripts when the site is built: the network (backbone.py), the
book's rendered ants and bees, and the features that PyTorch makes of them.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sphinx.application import Sphinx
from torch.utils.data import DataLoader

from helpers import assets
from helpers.data import image_folders, statistics
from helpers.features import cached_features
from helpers.models import build
from helpers.pictures.folders import list_splits

from . import backbone
from .packing import halves, to_script

PAGE = "book/teach_yourself"
SIZE, CLASSES = 160, ["ants", "bees"]
STRANGERS = Path(__file__).parents[1] / "strangers"  # rendered pictures of neither class
#: In the order in which they load: each uses only those before it.
SCRIPTS = (
    *("strings", "dom", "data", "files", "pixels", "backbone", "training", "safetensors", "plots"),
    *("panels", "page", "looking", "asking", "head", "sources", "keeping", "start"),
)
# No other host, whatever a script tries. (A page in a folder has no origin: hence `file:`.)
POLICY = (
    "default-src 'self' file: data: blob:; connect-src 'self' file: data: blob:; "
    "script-src 'self' file: 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'self' file: 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "form-action 'self' file:"
)


def features_of_book(root: Path) -> np.ndarray:
    """Return the features of the training and validation pictures, `(N, 1280)`, in their order."""
    model = build(backbone.NAME, len(CLASSES)).eval()
    stats = statistics(model)
    loaders = image_folders(root, size=SIZE, augment=False, mean=stats["mean"], std=stats["std"])
    in_order = [DataLoader(loader.dataset, 32) for loader in (loaders.train, loaders.val)]
    cpu = torch.device("cpu")
    return np.concatenate(
        [cached_features(model, part, cpu).tensors[0].numpy() for part in in_order]
    )


def picture_scripts() -> dict[str, bytes]:
    """Pack the rendered pictures, their features, and some pictures of neither class."""
    root = assets.ants_bees("rendered").path
    found = [
        (path, CLASSES.index(path.parent.name), held)
        for part, held in (("train", False), ("val", True))
        for path in list_splits(root).paths
        if path.parent.parent.name == part
    ]
    found += [(path, -1, False) for path in sorted(STRANGERS.glob("*.jpg"))]
    listing = [
        {"name": path.stem, "label": label, "held": held, "length": path.stat().st_size}
        for path, label, held in found
    ]
    return {
        "book": f"Teach.book = {json.dumps(listing)};".encode(),
        "pictures": to_script("pictures", b"".join(path.read_bytes() for path, *_ in found)),
        "features": to_script("features", halves(features_of_book(root))),
    }


def add_scripts(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Put the scripts, the style and the policy on that page."""
    if page == PAGE:
        app.add_css_file("teach/teach.css")
        for name in SCRIPTS:
            app.add_js_file(f"teach/{name}.js", loading_method="defer")
        policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        context["metatags"] = policy + context.get("metatags", "")


def write_scripts(app: Sphinx, error: Exception | None) -> None:
    """Write what was packed beside the scripts of the page."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "teach" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (backbone.scripts() | picture_scripts()).items():
            (folder / f"{name}.js").write_bytes(content)


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
