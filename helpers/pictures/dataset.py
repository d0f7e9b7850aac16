"""Pictures in memory, as uint8 tensors, and their labels; the two forms of CIFAR-10."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10


@dataclass(eq=False)
class Pictures(Dataset):
    """Pictures `(3, H, W)`, uint8, in memory, and their labels; transformed when asked for.

    per_picture: what is done to each on its own, such as a random crop, and leaves all of one size.
    per_batch: what is then done to a batch at once, which is faster, such as normalization.
    """

    pictures: Sequence[Tensor] | Tensor
    labels: Sequence[int]
    per_picture: Callable
    per_batch: Callable

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the transformed picture and its label."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Return several items; a DataLoader asks for those of a batch in this way."""
        batch = torch.stack([self.per_picture(self.pictures[i]) for i in indices])
        return list(zip(self.per_batch(batch), (self.labels[i] for i in indices), strict=True))


def read_archive(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read CIFAR-10 itself: pictures `(N, 3, 32, 32)`, uint8, and labels `(N,)`, int64."""
    archive = CIFAR10(root, train=split == "train", download=False)  # checks the hashes first
    return torch.from_numpy(archive.data).permute(0, 3, 1, 2), torch.tensor(archive.targets)


def read_sheets(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read the rendered form: one sheet of tiles a class. Shapes as in `read_archive`."""
    pictures, labels = [], []
    for label, path in enumerate(sorted((root / split).glob("*.webp"))):  # in CIFAR-10's order
        with Image.open(path) as sheet:
            tiles = torch.from_numpy(np.array(sheet.convert("RGB")))
        tiles = tiles.unflatten(1, (-1, 32)).unflatten(0, (-1, 32))  # rows, 32, columns, 32, 3
        pictures.append(tiles.permute(0, 2, 4, 1, 3).flatten(0, 1))
        labels.append(torch.full((len(pictures[-1]),), label))
    return torch.cat(pictures), torch.cat(labels)
