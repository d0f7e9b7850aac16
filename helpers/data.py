"""From pictures to batches. Each is decoded once and kept as uint8, so there are no workers."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from helpers import assets
from helpers.pictures.dataset import Pictures, read_archive, read_sheets
from helpers.pictures.decode import open_pictures
from helpers.pictures.folders import list_splits, warn_of_unused
from helpers.pictures.splits import assign_splits, draw_per_class

RGB = tuple[float, float, float]  # a number for red, green and blue

# The statistics of ImageNet: what the ResNets of this book were trained with.
MEAN: RGB = (0.485, 0.456, 0.406)
STD: RGB = (0.229, 0.224, 0.225)


class Loaders(NamedTuple):
    """The loaders of one data set, and what is needed to read its batches.

    A batch is inputs `(B, 3, size, size)`, float32, normalized as `(pixels - mean) / std` with
    pixels in [0, 1]; and labels `(B,)`, int64, indices into `class_names`.
    """

    train: DataLoader  #: shuffled; to learn from
    val: DataLoader  #: to choose with
    test: DataLoader | None  #: to report on; None where the data set has none
    class_names: list[str]  #: in the order of the labels
    mean: RGB  #: what was subtracted from each color channel
    std: RGB  #: what it was divided by then

    def split(self, name: str) -> DataLoader:
        """Return the loader of "train", "val" or "test"; raise ValueError where there is none."""
        if (loader := {"train": self.train, "val": self.val, "test": self.test}.get(name)) is None:
            raise ValueError(f"this data set has no {name} split: show split='val' or 'train'")
        return loader


def statistics(model: nn.Module) -> dict[str, Any]:
    """Return the `mean` and `std` that a model's pictures are normalized with: loaders take them.

    `timm` models store them in `pretrained_cfg`; torchvision's use those of ImageNet.
    """
    card = getattr(model, "pretrained_cfg", {"mean": MEAN, "std": STD})
    return {"mean": tuple(card["mean"]), "std": tuple(card["std"])}


def ants_bees(*, edition: str | None = None, **options) -> Loaders:
    """Load the ants and bees of the edition in use; `options` are those of `image_folders`."""
    return image_folders(assets.ants_bees(edition).path, **options)


def image_folders(
    root: str | Path,
    *,
    size: int = 96,
    batch_size: int = 16,
    augment: bool = True,
    smallest_crop: float = 0.35,
    val_share: float = 0.2,
    mean: RGB = MEAN,
    std: RGB = STD,
    seed: int = 0,
) -> Loaders:
    """Load `root/train/<class>/<picture>`, the same under `root/val`, and under `root/test` if any.

    Where there is no `root/train`, load `root/<class>/<picture>` and set aside `val_share` of each
    class, at least one picture, for validation; copies stay together.

    With `augment`, training pictures are cropped at random, to `smallest_crop` of their area or
    more, and mirrored half the time; the others lose only their border. All become `size` × `size`
    pixels, normalized with `mean` and `std`. `seed` draws those set aside, and orders the batches.

    Raises ValueError that names the pictures which can't be used, MemoryError where so many don't
    fit. Warns of files that are no pictures, and of pictures that are in two splits or two classes.
    """
    listing = list_splits(Path(root).expanduser())
    warn_of_unused(listing)
    pictures = open_pictures(listing.paths, side_that_fits(len(listing.paths), size))
    splits = assign_splits(listing, pictures, val_share, seed)

    crop = v2.Compose([v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)])
    resized_crop = v2.RandomResizedCrop(size, scale=(smallest_crop, 1))
    varied = v2.Compose([resized_crop, v2.RandomHorizontalFlip()])
    sets = {}
    for split in set(splits):
        chosen = [i for i, other in enumerate(splits) if other == split]
        images, labels = [pictures[i] for i in chosen], [listing.labels[i] for i in chosen]
        per_picture = varied if augment and split == "train" else crop
        sets[split] = Pictures(images, labels, per_picture, normalize(mean, std))
    return make_loaders(sets, listing.class_names, batch_size, seed, mean, std)


def side_that_fits(count: int, size: int) -> int:
    """Return the short side to keep pictures at: twice `size`, or less if memory is short."""
    free, least = psutil.virtual_memory().available / 2, round(size * 256 / 224)
    side = int((free / (4 * count)) ** 0.5)  # a picture of 4:3 takes 4 · side² bytes
    if side < least:
        holds = f"half of the free memory holds about {free // (4 * least**2):.0f} pictures"
        raise MemoryError(f"{holds} at size={size}, not {count}: take fewer, or a smaller size")
    if side < 2 * size:
        what = f"memory is short: {count} pictures are kept at {side} pixels instead of {2 * size}"
        warnings.warn(f"{what}, so narrow crops are less sharp", stacklevel=3)
    return min(side, 2 * size)


def cifar10(
    *,
    edition: str | None = None,
    size: int = 32,
    mean: RGB = MEAN,
    std: RGB = STD,
    normalized: bool = True,
    augment: bool = False,
    batch_size: int = 100,
    num_train: int | None = None,
    seed: int = 0,
) -> Loaders:
    """Load CIFAR-10's ten classes of 32 × 32 pictures, enlarged to `size` × `size`.

    A tenth of the training pictures of each class is set aside for validation. `augment` shifts by
    up to 4 pixels and mirrors. `num_train` keeps only that many training pictures, as many from
    each class. `seed` draws them, and orders the batches.
    """
    asset = assets.cifar10(edition)
    read = read_sheets if asset.edition == "rendered" else read_archive
    pictures, labels = read(asset.path, "train")
    test_pictures, test_labels = read(asset.path, "test")
    val, train = draw_per_class(labels, len(labels) // 10, seed)
    if num_train is not None:
        train = train[draw_per_class(labels[train], num_train, seed)[0]]
    if not normalized:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    prepare = v2.Compose([v2.Resize(size), normalize(mean, std)])
    plain = v2.Identity()
    shift = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    change = shift if augment else plain
    sets = {
        "train": Pictures(pictures[train], labels[train].tolist(), change, prepare),
        "val": Pictures(pictures[val], labels[val].tolist(), plain, prepare),
        "test": Pictures(test_pictures, test_labels.tolist(), plain, prepare),
    }
    return make_loaders(sets, [*assets.CIFAR10_CLASSES], batch_size, seed, mean, std)


def normalize(mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> v2.Transform:
    """Return the transform from uint8 pixels to what the network was trained on."""
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def make_loaders(
    sets: dict[str, Pictures], names: list[str], batch_size: int, seed: int, mean: RGB, std: RGB
) -> Loaders:
    """Make the loaders of "train", "val" and maybe "test"; shuffle only the first, from `seed`.

    A last training batch of a single picture is left out: in training mode, BatchNorm needs two.
    """
    train, order = sets["train"], torch.Generator().manual_seed(seed)
    single = len(train) % batch_size == 1
    train_loader = DataLoader(train, batch_size, shuffle=True, generator=order, drop_last=single)
    val_loader = DataLoader(sets["val"], batch_size)
    test_loader = DataLoader(sets["test"], batch_size) if "test" in sets else None
    return Loaders(train_loader, val_loader, test_loader, names, mean, std)
