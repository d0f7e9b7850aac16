"""Measure how hard the rendered pictures are: what the page "The pictures in this book" shows.

    python tools/measure/measure_renders.py --seeds 3

trains on the rendered edition as chapters 3, 4 and 5 do and writes `book/renders.csv`: for each
training the accuracy on the test pictures, which chose nothing, with each seed.
"""

import argparse
import os
from pathlib import Path

import torch
from measure_photographs import BOOK, METHODS, train, write
from torch import nn
from torch.utils.data import DataLoader

from helpers import data
from helpers.features import extract_features
from helpers.metrics import Metrics
from helpers.models import resnet18
from helpers.runtime import get_device, seed_everything
from helpers.training import evaluate, fit

NUM_EPOCHS = {"head": 20, "network": 10}
HEADS = {
    "frozen, 32 px, not normalized": {"normalized": False},
    "frozen, 32 px": {},
    "frozen, 64 px": {"size": 64},
}
NETWORKS = {
    "fine-tuned, 32 px": ("pretrained", {}),
    "from scratch, 32 px": (None, {}),
}
CRITERION = nn.CrossEntropyLoss()


def train_head(seed: int, **options) -> Metrics:
    """Train a head on the frozen backbone's features of CIFAR-10's classes; return its test."""
    seed_everything(seed)
    loaders, device = data.cifar10(edition="rendered", seed=seed, **options), get_device()
    backbone = resnet18(10, freeze=True).to(device)
    train, val, test = (extract_features(backbone, loader, device) for loader in loaders[:3])
    shuffled = DataLoader(train, 100, shuffle=True, generator=torch.Generator().manual_seed(seed))
    head = nn.Linear(512, 10).to(device)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    fit(
        head, shuffled, DataLoader(val, 1000), CRITERION, optimizer, device,
        num_epochs=NUM_EPOCHS["head"], verbose=False,
    )  # fmt: skip
    return evaluate(head, DataLoader(test, 1000), CRITERION, device)


def train_network(seed: int, weights: str | None, **options) -> Metrics:
    """Train a whole network on CIFAR-10's classes; return its test."""
    seed_everything(seed)
    loaders, device = data.cifar10(edition="rendered", seed=seed, **options), get_device()
    model = resnet18(10, weights=weights).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    fit(
        model, loaders.train, loaders.val, CRITERION, optimizer, device,
        num_epochs=NUM_EPOCHS["network"], verbose=False,
    )  # fmt: skip
    return evaluate(model, loaders.test, CRITERION, device)


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
    jobs += [("ten classes", name, train_head, options) for name, options in HEADS.items()]
    jobs += [
        ("ten classes", name, train_network, {"weights": weights, **options})
        for name, (weights, options) in NETWORKS.items()
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
