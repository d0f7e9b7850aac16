"""Train from each stage on, with each rate and each mode of BatchNorm: what the explorer shows.

    OMP_NUM_THREADS=1 python -m tools.measure.measure_unfreeze

adds to `helpers/explorers/unfreeze.csv` the runs that are not there yet: ResNet-18 on the rendered
ants and bees, otherwise as chapter 4. The seconds are the processor's, with evaluation.
"""

import os
import time
from itertools import product

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from helpers import data
from helpers.explorers.unfreeze import FILE, HEAD
from helpers.models import fixed_statistics, parameter_groups, resnet18, unfreeze_from
from helpers.runtime import get_device, seed_everything
from helpers.training import evaluate, fit
from tools.measure.write_tables import read_csv, write_csv

# What is trained, by the first of its layers.
STAGES = {HEAD: "fc"} | {f"stage {n} and up": f"layer{n}" for n in (4, 3, 2, 1)}
STAGES["everything"] = "conv1"
RATES = (0.002, 0.008, 0.03)  # of the backbone
MODES = {"training mode": nn.Module.train, "evaluation mode": fixed_statistics}
COLUMNS = ["stage", "rate", "mode", "seed", "test accuracy", "seconds", "validation accuracies"]
NUM_EPOCHS, HEAD_LR, SEEDS = 12, 0.02, (0, 1, 2)


def measure(stage: str, rate: float, mode: str, seed: int) -> list[str]:
    """Train once; return the row. Where the loss became no number, it has no accuracies."""
    start, device = time.process_time(), get_device()
    seed_everything(seed)
    loaders = data.ants_bees(seed=seed)
    model = resnet18(len(loaders.class_names), freeze=True).to(device)
    unfreeze_from(model, STAGES[stage])
    optimizer = SGD(parameter_groups(model, lr=rate, head_lr=HEAD_LR), momentum=0.9)
    criterion, scheduler = nn.CrossEntropyLoss(), CosineAnnealingLR(optimizer, T_max=NUM_EPOCHS)
    options = {"scheduler": scheduler, "mode": MODES[mode], "verbose": False}
    parts = (loaders.train, loaders.val, criterion, optimizer, device)
    try:
        history = fit(model, *parts, num_epochs=NUM_EPOCHS, **options)
    except FloatingPointError:
        return [stage, str(rate), mode, str(seed), "", "", ""]
    seconds = time.process_time() - start
    test = evaluate(model, loaders.split("test"), criterion, device).accuracy
    epochs = " ".join(f"{accuracy:.4f}" for accuracy in history.val_accuracy)
    return [stage, str(rate), mode, str(seed), f"{test:.4f}", f"{seconds:.1f}", epochs]


def main() -> None:
    """Measure every setting with every seed, unless it is there."""
    os.environ["EDITION"] = "rendered"
    rows = read_csv(FILE) if FILE.exists() else [COLUMNS]
    there = [row[:4] for row in rows]
    for seed, stage, rate, mode in product(SEEDS, STAGES, RATES, MODES):
        once = stage != HEAD or rate == RATES[0]  # the head has a rate of its own
        if once and [stage, str(rate), mode, str(seed)] not in there:
            rows.append(measure(stage, rate, mode, seed))
            write_csv(FILE, rows)


if __name__ == "__main__":
    main()
