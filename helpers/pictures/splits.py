"""Which picture is for what: parts of a data set that share no picture."""

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from helpers.pictures.decode import name_some
from helpers.pictures.folders import Listing


def draw_per_class(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw `count` indices, as many of each class; return them and all the others, in order.

    labels: `(N,)`, int64. Raises a ValueError if the classes can't give as many each.
    """
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


def assign_parts(
    listing: Listing, pictures: Sequence[Tensor], val_share: float, seed: int
) -> list[str]:
    """Return which part each picture belongs to; warn of those that belong to two."""
    names = [path.relative_to(listing.root).as_posix() for path in listing.paths]
    keys = [pixel_key(picture) for picture in pictures]
    warn_of_copies(names, keys, listing.labels, "classes, of which one is wrong")
    if listing.parts:
        warn_of_copies(names, keys, listing.parts, "parts, which flatters the accuracy")
        return listing.parts
    return split_per_class(listing.labels, keys, listing.class_names, val_share, seed)


def split_per_class(
    labels: Sequence[int], keys: Sequence[str], class_names: Sequence[str], share: float, seed: int
) -> list[str]:
    """Draw a `share` of each class for "val"; the others are for "train". At least one of each.

    Pictures with the same key are copies of each other, see `pixel_key`. They stay together, so
    that a class may give some less; and copies in several classes are for training.
    """
    if not 0 < share < 1:
        raise ValueError(f"val_share is {share}: give a share between 0 and 1, such as 0.2")
    copies = defaultdict(list)
    for i, key in enumerate(keys):
        copies[key].append(i)
    of_class = [[] for _ in class_names]  # groups of copies
    for group in copies.values():
        for label in {labels[i] for i in group}:
            of_class[label].append(group)

    generator = torch.Generator().manual_seed(seed)
    parts, too_few = ["train"] * len(labels), []
    for label, groups in enumerate(of_class):
        own = [group for group in groups if all(labels[i] == label for i in group)]
        if len(groups) < 2 or not own:
            too_few.append(class_names[label])
            continue
        size = list(labels).count(label)
        for i in draw_groups(own, min(max(1, round(share * size)), size - 1), generator):
            parts[i] = "val"
    if too_few:
        raise ValueError(
            f"too few pictures to set some aside for validation in the classes {too_few}: each "
            f"takes two that differ, and are in no other class"
        )
    return parts


def draw_groups(groups: list[list[int]], count: int, generator: torch.Generator) -> list[int]:
    """Draw whole groups that hold `count` indices at most; the smallest one, if all hold more."""
    drawn = []
    for j in torch.randperm(len(groups), generator=generator).tolist():
        if len(drawn) + len(groups[j]) <= count:
            drawn += groups[j]
    return drawn or min(groups, key=len)


def pixel_key(picture: Tensor) -> str:
    """Return a key that only pictures with the same pixels share."""
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    digest.update(picture.contiguous().numpy().data)
    return digest.hexdigest()


def warn_of_copies(
    names: Sequence[str], keys: Sequence[str], places: Sequence[str | int], where: str
) -> None:
    """Warn of pictures with the same key in different places, such as two parts or two classes."""
    first, pairs = {}, []
    for name, key, place in zip(names, keys, places, strict=True):
        earlier, there = first.setdefault(key, (name, place))
        if place != there:
            pairs.append(f"{name} = {earlier}")
    if pairs:
        warnings.warn(
            f"the same picture is in two {where}; {len(pairs)} such: {name_some(pairs)}",
            stacklevel=2,
        )
