"""Crops: how small a part of a picture may be and still show what the label says."""

import csv
from pathlib import Path

import torch
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from helpers.data import Loaders
from helpers.explorers.form import Explorer, picture, table, thumbnails

FILE = Path(__file__).with_suffix(".csv")  # by tools/render/measure_crops.py
COLUMNS = ["smallest scale", "share that hold the insect"]
SCALES = (0.08, 0.2, 0.35, 0.5, 0.75, 1.0)
HELD = 0.5  # of what a picture shows of its insects: so much must a crop have to count
NUM_CROPS, NUM_PICTURES, SIDE = 6, 2, 88


def crops(loaders: Loaders) -> Explorer:
    """Explore random crops of training pictures, and in how many renders they hold the insect."""
    with FILE.open(encoding="utf8") as file:
        shares = {float(row[COLUMNS[0]]): float(row[COLUMNS[1]]) for row in csv.DictReader(file)}
    train, names = loaders.train.dataset, loaders.class_names
    chosen = torch.linspace(0, len(train) - 1, NUM_PICTURES).round().long().tolist()
    whole = {f"{names[train.labels[i]]}, picture {n}": i for n, i in enumerate(chosen, 1)}

    def show(scale: float, which: str) -> str:
        torch.manual_seed(0)
        crop, image = v2.RandomResizedCrop(SIDE, scale=(scale, 1)), train.pictures[whole[which]]
        images = [to_pil_image(crop(image)) for _ in range(NUM_CROPS)]
        drawn = (picture(image, f"crop {n}", SIDE) for n, image in enumerate(images, 1))
        return (
            f"<p><b>{shares[scale]:.1%} of such crops of the rendered pictures hold the insect:"
            f"</b> at least half of what the picture shows of it.</p>"
            f"{thumbnails(drawn)}"
        )

    rows = ((scale, f"{shares[scale]:.1%}") for scale in SCALES)
    return Explorer(
        "The usual smallest crop has 0.08 of a picture's area. In how many such crops is there "
        "still at least half of the insect?",
        ("in nearly all", "in three of four", "in half of them", "in one of four"),
        {"Smallest part of the area": SCALES, "Picture": tuple(whole)},
        show,
        answer=f"Measured on the rendered pictures: in {shares[0.08]:.1%}.",
        in_words=table(("smallest part of the area", "crops that hold the insect"), rows),
    )
