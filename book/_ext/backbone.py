"""The embedded EfficientNet-Lite0, packed into scripts for TensorFlow.js (teach/backbone.js)."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from helpers import assets
from helpers.models import build

from .packing import halves, to_script

NAME = "tf_efficientnet_lite0"
PARTS = 4  # of the weights, as in backbone.js
WASM = Path(__file__).parents[1] / "static/served/tensorflow/tfjs-backend-wasm-simd.wasm"


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


def scripts() -> dict[str, bytes]:
    """Pack the embedded weights, exactly as they are, and how the network is built of them."""
    model = build(NAME, num_classes=2)
    state = safetensors.numpy.load_file(str(assets.weights(NAME)))
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
