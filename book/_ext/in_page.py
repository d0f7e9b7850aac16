"""A Sphinx extension: what the page "Teach it yourself" needs, on that page only.

A page that is opened from a folder may load scripts, and no other files. So all that it needs is
packed into scripts when the site is built: the embedded weights, the .wasm of TensorFlow.js, the
book's rendered ants and bees, and the features that PyTorch makes of them.
"""

import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
import torch
from sphinx.application import Sphinx
from timm.layers import BatchNormAct2d
from torch import nn
from torch.utils.data import DataLoader

from helpers import assets
from helpers.data import Pictures, image_folders, statistics
from helpers.features import cached_features
from helpers.models import build
from helpers.pictures.folders import list_splits

PAGE = "book/teach_yourself"
BACKBONE, SIZE, CLASSES = "tf_efficientnet_lite0", 160, ["ants", "bees"]
HERE = Path(__file__).parents[1]
STRANGERS = HERE / "strangers"  # rendered pictures of neither class
WASM = HERE / "static" / "served" / "tensorflow" / "tfjs-backend-wasm-simd.wasm"
SCRIPTS = [
    "strings",
    "dom",
    "data",
    "pixels",
    "backbone",
    "head",
    "keep",
    "plots",
    "panels",
    "teach",
]
FIRST = 0x1000  # the character that stands for 0
PARTS = 4  # of the weights, as in backbone.js
# No other host, whatever a script tries. (A page in a folder has no origin: hence `file:`.)
POLICY = (
    "default-src 'self' file: data: blob:; connect-src 'self' file: data: blob:; "
    "script-src 'self' file: 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'self' file: 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "form-action 'self' file:"
)


def to_text(data: bytes) -> str:
    """Write bytes as characters of 15 bits each, which UTF-16 holds in two bytes."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    rows = np.pad(bits, (0, -len(bits) % 15)).reshape(-1, 15).astype(np.int64)
    codes = rows @ (1 << np.arange(15)[::-1]) + FIRST
    return codes.astype("<u2").tobytes().decode("utf-16-le")


def to_script(name: str, data: bytes) -> bytes:
    """Return a script that hands the page some bytes, compressed, by their name."""
    packed = zlib.compress(data, 9)
    return f'Teach.put("{name}", {len(packed)}, "{to_text(packed)}");'.encode("utf-16")


def halves(numbers: np.ndarray) -> bytes:
    """Write numbers with 16 bits: all high bytes first, since they compress better alone."""
    pairs = np.frombuffer(numbers.astype("<f2").tobytes(), np.uint8).reshape(-1, 2)
    return pairs[:, 1].tobytes() + pairs[:, 0].tobytes()


class Layer(NamedTuple):
    """A convolution and the BatchNorm after it, by their names in the network."""

    convolution: str
    norm: str


def layers_of(module: nn.Module, prefix: str = "") -> list[Layer]:
    """Pair each convolution of a module with the BatchNorm that follows it."""
    found, last = [], ""
    for name, child in module.named_modules():
        if isinstance(child, nn.Conv2d):
            last = prefix + name
        elif isinstance(child, BatchNormAct2d):
            found.append(Layer(last, prefix + name))
    return found


def blocks_of(model: nn.Module) -> list[tuple[list[Layer], bool]]:
    """Return the layers of each block of an EfficientNet, and whether its input is added again."""
    stages = dict(model.named_children())
    blocks = [([Layer("conv_stem", "bn1")], False)]
    for name, block in stages["blocks"].named_modules():
        if name.count(".") == 1 and not name.endswith("."):
            blocks.append((layers_of(block, f"blocks.{name}."), bool(block.has_skip)))
    return [*blocks, ([Layer("conv_head", "bn2")], False)]


def describe(model: nn.Module, layer: Layer) -> dict:
    """Say what a layer is, for TensorFlow.js: its weights' shape is height, width, in, out."""
    convolution: nn.Conv2d = model.get_submodule(layer.convolution)  # type: ignore[assignment]
    out, into, height, width = convolution.weight.shape
    depthwise = convolution.groups > 1
    return {
        "shape": [height, width, *((out, 1) if depthwise else (into, out))],
        "depthwise": depthwise,
        "stride": convolution.stride[0],
        "active": not isinstance(model.get_submodule(layer.norm).act, nn.Identity),
    }


def numbers_of(state: dict[str, np.ndarray], layer: Layer) -> np.ndarray:
    """Return the numbers of a layer in the order that backbone.js takes them in."""
    weight = state[f"{layer.convolution}.weight"]
    # (out, in, height, width), or (channel, 1, height, width): the channels to the end
    weight = weight.transpose(2, 3, 1, 0)
    norms = ("weight", "bias", "running_mean", "running_var")
    return np.concatenate([weight.ravel(), *(state[f"{layer.norm}.{name}"] for name in norms)])


def backbone_scripts() -> dict[str, bytes]:
    """Pack the embedded weights, exactly as they are, and how the network is built of them."""
    model = build(BACKBONE, len(CLASSES))
    state = safetensors.numpy.load_file(str(assets.weights(BACKBONE)))
    blocks = blocks_of(model)
    numbers = np.concatenate([numbers_of(state, layer) for layers, _ in blocks for layer in layers])
    described = [
        {"layers": [describe(model, layer) for layer in layers], "skip": skip}
        for layers, skip in blocks
    ]
    files = {"backbone": f"Teach.blocks = {json.dumps(described)};".encode()}
    for i, part in enumerate(np.array_split(numbers, PARTS), 1):
        files[f"backbone-{i}"] = to_script(f"backbone-{i}", halves(part))
    return files | {"wasm": to_script("wasm", WASM.read_bytes())}


def features_of_book() -> np.ndarray:
    """Return the features of the rendered training and validation pictures, in their order."""
    model = build(BACKBONE, len(CLASSES)).eval()
    root = assets.ants_bees("rendered").path
    loaders = image_folders(root, size=SIZE, augment=False, **statistics(model))
    parts = []
    for loader in (loaders.train, loaders.val):
        pictures: Pictures = loader.dataset  # type: ignore[assignment]
        in_order = DataLoader(pictures, 32)
        parts.append(cached_features(model, in_order, torch.device("cpu")).tensors[0].numpy())
    return np.concatenate(parts)


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
    features = features_of_book()
    return {
        "book": f"Teach.book = {json.dumps(listing)};".encode(),
        "pictures": to_script("pictures", b"".join(path.read_bytes() for path, *_ in found)),
        "features": to_script("features", halves(features)),
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
        for name, content in (backbone_scripts() | picture_scripts()).items():
            (folder / f"{name}.js").write_bytes(content)


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
