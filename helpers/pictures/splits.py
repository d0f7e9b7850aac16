"""Which picture is for what: splits of a data set that share no picture."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from helpers.pictures.decode import warn_of
from helpers.pictures.folders import Listing


def draw_per_class(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw `count` indices of labels `(N,)`, as many of each class; return them and the others."""
    generator = torch.Generator().manual_seed(seed)
    classes = [(labels == label).nonzero().flatten() for label in labels.unique()]
    each, rest = divmod(count, len(classes))
    if rest or each > min(map(len, classes)):
        what = f"can't draw {count} of {len(labels)} pictures, as many of each class"
        raise ValueError(f"{what}: take a multiple of {len(classes)}, and no more than there are")
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for members in classes:
        drawn[members[torch.randperm(len(members), generator=generator)[:each]]] = True
    return drawn.nonzero().flatten(), (~drawn).nonzero().flatten()


def assign_splits(
    listing: Listing, pictures: Sequence[Tensor], share: float, seed: int
) -> list[str]:
    """Return which split each picture belongs to; warn of those that belong to two."""
    copies = group_copies(pictures)
    warn_of_copies(listing, copies, listing.labels, "classes, of which one is wrong")
    if listing.splits:
        warn_of_copies(listing, copies, listing.splits, "splits, which flatters the accuracy")
        return listing.splits
    return split_per_class(listing, copies, share, seed)


def group_copies(pictures: Sequence[Tensor]) -> list[list[int]]:
    """Group the indices of pictures by their pixels."""
    groups = defaultdict(list)
    for i, picture in enumerate(pictures):
        pixels = repr(picture.shape).encode() + picture.numpy().tobytes()
        groups[hashlib.sha256(pixels).digest()].append(i)
    return list(groups.values())


def warn_of_copies(listing: Listing, copies: list[list[int]], places: Sequence, where: str) -> None:
    """Warn of copies in different places, such as two splits or two classes."""
    pairs = [(i, group[0]) for group in copies for i in group if places[i] != places[group[0]]]
    names = [path.relative_to(listing.root).as_posix() for path in listing.paths]
    said = [f"{names[i]} = {names[first]}" for i, first in sorted(pairs)]
    warn_of(said, f"the same picture is in two {where}")


def split_per_class(
    listing: Listing, copies: list[list[int]], share: float, seed: int
) -> list[str]:
    """Draw a `share` of each class for "val", at least one; the others are for "train".

    Copies stay together, and count as one picture; those in several classes are for training.
    """
    if not 0 < share < 1:
        raise ValueError(f"val_share is {share}: give a share between 0 and 1, such as 0.2")
    generator = torch.Generator().manual_seed(seed)
    labels = listing.labels
    splits, too_few = ["train"] * len(labels), []
    for label, name in enumerate(listing.class_names):
        groups = [group for group in copies if any(labels[i] == label for i in group)]
        own = [group for group in groups if all(labels[i] == label for i in group)]
        if len(groups) < 2 or not own:
            too_few.append(name)
            continue
        count = min(max(1, round(share * len(groups))), len(groups) - 1)
        for j in torch.randperm(len(own), generator=generator)[:count].tolist():
            for i in own[j]:
                splits[i] = "val"
    if too_few:
        what = f"too few pictures to set some aside for validation in the classes {too_few}"
        raise ValueError(f"{what}: each takes two that differ, and are in no other class")
    return splits
