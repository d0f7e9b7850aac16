"""From files to pictures: uint8 tensors in memory, and the labels that go with them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10, ImageFolder

from helpers import assets


class Pictures(Dataset):
    """Pictures `(3, H, W)`, uint8, in memory, and their labels; transformed when asked for.

    per_picture: what is done to each picture on its own, such as a random crop, and leaves all of
    one size. per_batch: what is then done to all of a batch alike, such as normalization: at once,
    which is faster.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        labels: Sequence[int],
        per_picture: Callable,
        per_batch: Callable,
    ):
        """Keep the pictures as they are."""
        self.pictures, self.labels = pictures, list(labels)
        self.per_picture, self.per_batch = per_picture, per_batch

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


def list_pictures(folder: Path) -> ImageFolder:
    """List `folder/<class>/<picture>`; classes in alphabetical order."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {folder}: it should hold one folder of pictures a class; `make data` "
            f"brings the book's photographs"
        )
    try:
        return ImageFolder(folder)
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: {error}. Remove the empty class, or fill it.") from error


def open_picture(path: str | Path, short_side: int) -> Tensor:
    """Decode a picture to `(3, H, W)`, uint8, upright RGB, its short side at most `short_side`."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (short_side, short_side))  # a JPEG decodes faster when reduced
            image = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(
            f"{path} is no picture that can be opened: remove or replace it"
        ) from error
    scale = short_side / min(image.size)
    if scale < 1:
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def draw_per_class(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw `count` indices, as many of each class; return them and all the others, in order."""
    generator = torch.Generator().manual_seed(seed)
    classes = labels.unique()
    each, rest = divmod(count, len(classes))
    if rest or each > torch.bincount(labels)[classes].min():
        raise ValueError(
            f"can't draw {count} of {len(labels)} pictures, as many of each of {len(classes)} "
            f"classes: take a multiple of {len(classes)}, and no more than there are"
        )
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for label in classes:
        members = (labels == label).nonzero().flatten()
        drawn[members[torch.randperm(len(members), generator=generator)[:each]]] = True
    return drawn.nonzero().flatten(), (~drawn).nonzero().flatten()


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
