"""Measure how much of the insects random crops hold: what the explorer of crops shows.

    python -m tools.provenance.measure_crops

Renders each training picture twice, as it is and with insects that the camera does not see but that
still throw their shadows: where both differ, there is an insect. Then crops are drawn as for
training. Writes `helpers/explorers/crops.csv`: for each smallest scale, in how many of the
crops there is at least half of what the picture shows of its insects.
"""

import argparse
import csv
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.functional import crop

from helpers.explorers.crops import FILE
from helpers.runtime import atomic_write, progress
from tools.provenance.raytrace import Picture, trace_rays
from tools.provenance.render_ants_bees import pictures, scene

SCALES = (0.08, 0.2, 0.35, 0.5, 0.75, 1.0)
HELD = 0.5  # of what a picture shows of its insects: a crop must have so much of it to count
PIXELS, THRESHOLD, NUM_CROPS = 80, 24, 50


def mask(picture: Picture) -> Tensor:
    """Return where a picture shows an insect: `(PIXELS, PIXELS)`, bool."""
    seen, unseen = (
        np.asarray(trace_rays(scene(picture, seen=seen), str(picture), PIXELS), dtype=int)
        for seen in (True, False)
    )
    return torch.from_numpy(np.abs(seen - unseen).max(axis=2) > THRESHOLD)


def share_that_hold(masks: list[Tensor], scale: float) -> float:
    """Return the share of random crops with at least `HELD` of a mask."""
    torch.manual_seed(0)
    held = []
    draw = v2.RandomResizedCrop(1, scale=(scale, 1))
    for whole in masks:
        for _ in range(NUM_CROPS):
            part = crop(whole, **draw.make_params([whole[None]]))
            held.append(part.sum() >= HELD * whole.sum())
    return float(torch.stack(held).float().mean())


def main() -> None:
    """Render all masks and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    chosen = [picture for picture in pictures(seed=0) if picture.split == "train"][:: args.every]
    with ThreadPoolExecutor(args.processes) as pool:
        found = progress(pool.map(mask, chosen), "masks", len(chosen))
        masks = [one for one in found if one.any()]
    print(f"{len(masks)} of {len(chosen)} pictures show an insect")
    scales = progress(SCALES, "scales")
    rows = [[scale, f"{share_that_hold(masks, scale):.4f}"] for scale in scales]
    header = ["smallest scale", "share that hold the insect"]
    with atomic_write(FILE) as path, path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
