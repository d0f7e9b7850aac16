"""The two forms of CIFAR-10: the archive of its authors, and the rendered sheets."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import CIFAR10

from helpers import assets


def read_cifar10(asset: assets.Asset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read either form: the pictures and labels of "train", then those of "test"."""
    read = read_sheets if asset.edition == "rendered" else read_archive
    return *read(asset.path, "train"), *read(asset.path, "test")


def read_archive(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read CIFAR-10 itself: pictures `(N, 3, 32, 32)`, uint8, and labels `(N,)`, int64."""
    archive = CIFAR10(root, train=split == "train", download=False)  # checks the hashes first
    return torch.from_numpy(archive.data).permute(0, 3, 1, 2), torch.tensor(archive.targets)


def read_sheets(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read the rendered pictures, in the shapes of `read_archive`: one sheet of tiles a class."""
    pictures, labels = [], []
    for label, name in enumerate(assets.CIFAR10_CLASSES):
        with Image.open(root / split / f"{name}.webp") as sheet:
            tiles = torch.from_numpy(np.array(sheet.convert("RGB")))
        tiles = tiles.unflatten(1, (-1, 32)).unflatten(0, (-1, 32))  # rows, 32, columns, 32, 3
        tiles = tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)
        pictures.append(tiles)
        labels.append(torch.full((len(tiles),), label))
    return torch.cat(pictures), torch.cat(labels)
