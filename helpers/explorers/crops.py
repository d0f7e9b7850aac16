"""Crops: how small a part of a picture may be and still show what the label says."""

import csv
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from helpers.data import Loaders
from helpers.explorers.form import Explorer
from helpers.explorers.pieces import SIDE, headline, percent, picture, spread, table, thumbnails

FILE = Path(__file__).with_suffix(".csv")  # by tools/provenance/measure_crops.py
COLUMNS = ["smallest scale", "share that hold the insect"]
SCALES = {percent(scale, 0): scale for scale in (0.08, 0.2, 0.35, 0.5, 0.75, 1.0)}
HELD = 0.5  # of what a picture shows of its insects: so much must a crop have to count
NUM_CROPS, NUM_PICTURES = 6, 2


def crops(loaders: Loaders) -> Explorer:
    """Explore random crops of training pictures, and in how many renders they hold the insect."""
    with FILE.open(encoding="utf8") as file:
        shares = {float(row[COLUMNS[0]]): float(row[COLUMNS[1]]) for row in csv.DictReader(file)}
    train: Any = loaders.train.dataset
    names = loaders.class_names
    chosen = enumerate(spread(len(train), NUM_PICTURES + 2)[1:-1], 1)
    whole = {f"picture {n}: {names[train.labels[i]]}": i for n, i in chosen}

    def show(smallest: str, which: str) -> str:
        scale, image = SCALES[smallest], train.pictures[whole[which]]
        crop = v2.RandomResizedCrop(SIDE, scale=(scale, 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            images = [to_pil_image(crop(image)) for _ in range(NUM_CROPS)]
        drawn = (picture(image, f"crop {n}") for n, image in enumerate(images, 1))
        note = "<p>All crops are the whole picture, and the same: nothing is varied.</p>"
        return headline(kept(scale)) + thumbnails(drawn) + (note if scale == 1 else "")

    def kept(scale: float) -> str:
        share = percent(shares[scale])
        return f"Of such crops of all rendered pictures {share} keep at least half of the insect."

    return Explorer(
        "Usually a crop takes a random part of a picture, between 8 % and all of its area. How "
        "many of these crops keep at least half of the insect?",
        ("nearly all", "three in four", "half", "one in four"),
        {"Smallest part of the area": tuple(SCALES), "Example": tuple(whole)},
        show,
        answer=f"Measured on the rendered training pictures: {percent(shares[0.08])}.",
        in_words=table(
            ("smallest part of the area", "crops with at least half of the insect"),
            ((text, percent(shares[scale])) for text, scale in SCALES.items()),
        ),
    )
