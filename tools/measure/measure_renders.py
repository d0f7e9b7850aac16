"""Measure how hard the rendered pictures are: what the page "The pictures in this book" shows.

    python tools/measure/measure_renders.py --seeds 3

trains on the rendered edition as chapters 3, 4 and 5 do and writes `book/renders.csv`: for each
training the accuracy on the test pictures, which chose nothing, with each seed.
"""

import argparse
import os
from functools import partial
from pathlib import Path

from measure_photographs import BOOK, METHODS, train, write
from torch import nn
from torch.utils.data import DataLoader

from helpers import data
from helpers.features import extract_features
from helpers.metrics import Metrics
from helpers.models import resnet18
from helpers.recipe import train_head, train_network
from helpers.runtime import get_device
from helpers.training import evaluate

HEADS = {
    "frozen, 32 px, not normalized": {"normalized": False},
    "frozen, 32 px": {},
    "frozen, 64 px": {"size": 64},
}
NETWORKS = {
    "fine-tuned, 32 px": "pretrained",
    "from scratch, 32 px": None,
}
CRITERION = nn.CrossEntropyLoss()
CIFAR10 = {"num_epochs": 5, "lr": 0.01, "head_lr": 0.01}  # of a whole network, as in chapter 3


def train_on_features(seed: int, **options) -> Metrics:
    """Train a head on the frozen backbone's features of CIFAR-10's classes; return its test."""
    loaders, device = data.cifar10(edition="rendered", seed=seed, **options), get_device()
    backbone = resnet18(10, freeze=True).to(device)
    train, val, test = (extract_features(backbone, loader, device) for loader in loaders[:3])
    head, _ = train_head(train, val, 10, seed=seed)
    return evaluate(head, DataLoader(test, 1000), CRITERION, device)


def train_on_pictures(seed: int, weights: str | None) -> Metrics:
    """Train a whole network on CIFAR-10's classes; return its test."""
    load = partial(data.cifar10, edition="rendered", size=32, seed=seed)
    model, loaders, _ = train_network(load, weights=weights, seed=seed, **CIFAR10)
    return evaluate(model, loaders.test, CRITERION, get_device())


def train_ants_bees(seed: int, method: str) -> Metrics:
    """Train on ants and bees; return the test of the weights that were best in validation."""
    model, loaders, _ = train(method, seed)
    return evaluate(model, loaders.test, CRITERION, get_device())


def main() -> None:
    """Train everything with every seed; write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=BOOK / "renders.csv", help="the file to write")
    args = parser.parse_args()
    os.environ["EDITION"] = "rendered"

    jobs = [("ants and bees, 96 px", m, train_ants_bees, {"method": m}) for m in METHODS]
    jobs += [("ten classes", name, train_on_features, options) for name, options in HEADS.items()]
    jobs += [
        ("ten classes", name, train_on_pictures, {"weights": weights})
        for name, weights in NETWORKS.items()
    ]
    rows = []
    for pictures, name, job, options in jobs:
        accuracies = [job(seed, **options).accuracy for seed in range(args.seeds)]
        mean = sum(accuracies) / len(accuracies)
        rows.append([pictures, name, *(f"{a:.3f}" for a in accuracies), f"{mean:.3f}"])
        print(*rows[-1], sep=" | ", flush=True)
    seeds = [f"seed {seed}" for seed in range(args.seeds)]
    write(args.out, ["pictures", "training", *seeds, "mean"], rows)


if __name__ == "__main__":
    main()
