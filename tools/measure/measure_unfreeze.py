"""Train from each stage on, with each rate and each mode of BatchNorm: what the explorer shows.

    OMP_NUM_THREADS=1 python -m tools.measure.measure_unfreeze --seeds 3

adds to `helpers/explorers/unfreeze.csv` the runs that are not there yet: ResNet-18 on the rendered
ants and bees, otherwise as chapter 4. The seconds are the processor's, with evaluation.
"""

import argparse
import csv
import os
import time
from itertools import product
from typing import Any

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from helpers import data
from helpers.explorers.unfreeze import FILE, HEAD, read
from helpers.models import fixed_statistics, parameter_groups, resnet18, unfreeze_from
from helpers.runtime import atomic_write, get_device, seed_everything
from helpers.training import evaluate, fit

STAGES = {  # what is trained, by the first of its layers
    HEAD: "fc",
    "stage 4 and up": "layer4",
    "stage 3 and up": "layer3",
    "stage 2 and up": "layer2",
    "stage 1 and up": "layer1",
    "everything": "conv1",
}
RATES = (0.002, 0.008, 0.03)  # of the backbone
MODES = {"training mode": nn.Module.train, "evaluation mode": fixed_statistics}
NUM_EPOCHS, HEAD_LR = 12, 0.02


def measure(stage: str, rate: float, mode: str, seed: int) -> dict[str, str]:
    """Train once and return the row, which has no accuracies where the loss became NaN."""
    start, device = time.process_time(), get_device()
    seed_everything(seed)
    loaders = data.ants_bees(seed=seed)
    model = resnet18(len(loaders.class_names), freeze=True).to(device)
    unfreeze_from(model, STAGES[stage])
    optimizer = SGD(parameter_groups(model, lr=rate, head_lr=HEAD_LR), momentum=0.9)
    row = {"stage": stage, "rate": str(rate), "mode": mode, "seed": str(seed)}
    row |= {"test accuracy": "", "seconds": "", "validation accuracies": ""}
    criterion = nn.CrossEntropyLoss()
    try:
        history = fit(
            model,
            loaders.train,
            loaders.val,
            criterion,
            optimizer,
            device,
            num_epochs=NUM_EPOCHS,
            scheduler=CosineAnnealingLR(optimizer, T_max=NUM_EPOCHS),
            mode=MODES[mode],
            verbose=False,
        )
    except FloatingPointError:
        return row
    row["seconds"] = f"{time.process_time() - start:.1f}"
    test: Any = loaders.test
    row["test accuracy"] = f"{evaluate(model, test, criterion, device).accuracy:.4f}"
    row["validation accuracies"] = " ".join(f"{value:.4f}" for value in history.val_accuracy)
    return row


def main() -> None:
    """Measure every setting with every seed, unless it is there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    os.environ["EDITION"] = "rendered"
    rows = read()
    there = {(row["seed"], row["stage"], row["rate"], row["mode"]) for row in rows}
    for seed, stage, rate, mode in product(range(args.seeds), STAGES, RATES, MODES):
        if stage == HEAD and rate != RATES[0]:
            continue  # the head has a rate of its own
        if (str(seed), stage, str(rate), mode) not in there:
            rows.append(measure(stage, rate, mode, seed))
            with atomic_write(FILE) as path, path.open("w", newline="", encoding="utf8") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            print(*rows[-1].values(), flush=True)


if __name__ == "__main__":
    main()
