"""This book's code, with the settings that its chapter 6 has for EfficientNet-Lite0.

Frozen: the backbone is asked once for each picture, without augmentation, and the best head is
computed from what it said: one line. Fine-tuned: that head first, then a strategy of the ladder.
CIFAR-10: as `book.py`, with larger pictures, and small batches of them: with those of 250 the
backbone takes twice as long.
"""

from argparse import Namespace

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from helpers import data
from helpers.data import Loaders
from helpers.features import extract_features
from helpers.models import build, fixed_statistics, head_of, parameter_groups, train_only
from helpers.recipe import fit_logistic_regression
from helpers.runtime import seed_everything
from helpers.training import evaluate
from tools.bench.book import BATCH_SIZE, CPU, cifar10, first, fit_and_print
from tools.bench.protocol import BACKBONES, LITE0, Run, parse

# A test compares these settings with those of the measured tables.
EPOCHS = {"frozen": 1, "fine-tuned": 6, "cifar10": 5}
SIZE = 160
RATES = {"all": 3e-5, "normalization": 1e-3}  # of each strategy


def load(args: Namespace, *, augment: bool) -> Loaders:
    """Load ants and bees."""
    mean, std = BACKBONES[LITE0].mean, BACKBONES[LITE0].std
    return data.image_folders(
        args.data, size=args.size, batch_size=BATCH_SIZE, augment=augment, seed=args.seed,
        mean=mean, std=std,
    )  # fmt: skip


def build_lite0(num_classes: int) -> nn.Module:
    """Build the network; channels lie side by side, as in chapter 6."""
    model = build(LITE0, num_classes, weights=BACKBONES[LITE0].weights)
    return model.to(memory_format=torch.channels_last)


def frozen(args: Namespace, run: Run) -> None:
    """Compute the best head for ants and bees."""
    loaders = load(args, augment=False)
    num_classes = len(loaders.class_names)
    model = build_lite0(num_classes)
    train, val = (
        extract_features(model, first(loader, args.max_batches), CPU)
        for loader in (loaders.train, loaders.val)
    )
    run.ready()
    head = fit_logistic_regression(train, num_classes)
    train_seconds = run.seconds() - run.setup
    found = evaluate(head, DataLoader(val, BATCH_SIZE), nn.CrossEntropyLoss(), CPU)
    run.line(train_seconds, len(train), found.accuracy)


def fine_tuned(args: Namespace, run: Run) -> None:
    """Train what the strategy says on ants and bees, as `helpers.recipe.fine_tune` does."""
    loaders = load(args, augment=True)
    num_classes = len(loaders.class_names)
    model, whole = build_lite0(num_classes), load(args, augment=False).train
    features = extract_features(model, first(whole, args.max_batches), CPU)
    head_of(model).load_state_dict(fit_logistic_regression(features, num_classes).state_dict())
    train_only(model, args.strategy)
    rate = RATES[args.strategy]
    optimizer = AdamW(parameter_groups(model, lr=rate, head_lr=rate))
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    fit_and_print(
        run, model, loaders.train, loaders.val, optimizer, scheduler, args, fixed_statistics
    )


def ten_classes(args: Namespace, run: Run) -> None:
    """Train a head on features of CIFAR-10."""
    cifar10(args, run, size=args.size, batch_size=BATCH_SIZE)


def main() -> None:
    """Run one task."""
    args = parse(__doc__, EPOCHS, size=SIZE, strategy="all")
    run = Run()
    seed_everything(args.seed)
    tasks = {"frozen": frozen, "fine-tuned": fine_tuned, "cifar10": ten_classes}
    tasks[args.task](args, run)
    run.end(size=args.size, batch_size=BATCH_SIZE)


if __name__ == "__main__":
    main()
