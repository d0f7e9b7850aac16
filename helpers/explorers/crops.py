"""Crops: how small a part of a picture may be and still show what the label says."""

import csv
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from helpers.data import Loaders
from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import SIDE, gallery, headline, percent, picture, spread, table

FILE = Path(__file__).with_suffix(".csv")  # by tools/provenance/measure_crops.py
NUM_CROPS, NUM_PICTURES = 6, 2


def crops(loaders: Loaders) -> Explorer:
    """Explore random crops of training pictures, and in how many renders they hold the insect."""
    with FILE.open(encoding="utf8") as file:
        rows = {percent(float(row["smallest scale"]), 0): row for row in csv.DictReader(file)}
    held = {text: percent(float(row["share that hold the insect"])) for text, row in rows.items()}
    train: Any = loaders.train.dataset
    names = loaders.class_names
    chosen = enumerate(spread(len(train), NUM_PICTURES + 2)[1:-1], 1)
    whole = {f"picture {n}: {names[train.labels[i]]}": i for n, i in chosen}

    def show(smallest: str, which: str) -> str:
        scale, image = float(rows[smallest]["smallest scale"]), train.pictures[whole[which]]
        text = f"Of such crops of all rendered pictures {held[smallest]} keep at least half of the "
        crop = v2.RandomResizedCrop(SIDE, scale=(scale, 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            images = [to_pil_image(crop(image)) for _ in range(NUM_CROPS)]
        drawn = (picture(image, f"crop {n}") for n, image in enumerate(images, 1))
        note = "<p>All crops are the whole picture, and the same: nothing is varied.</p>"
        return headline(f"{text}insect.") + gallery(drawn) + (note if scale == 1 else "")

    return Explorer(
        question="Usually a crop takes a random part of a picture, between 8 % and all of its "
        "area. How many of these crops keep at least half of the insect?",
        guesses=("nearly all", "three in four", "half", "one in four"),
        controls=[
            Control("Smallest part of the area", list(rows)),
            Control("Example", list(whole)),
        ],
        show=show,
        answer=f"Measured on the rendered training pictures: {held['8 %']}.",
        in_words=table(
            ("smallest part of the area", "crops with at least half of the insect"), held.items()
        ),
    )
