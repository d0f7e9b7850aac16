"""This book's code, with the settings that its chapters 3 to 5 have for the ResNet-18.

Frozen: the backbone is asked once for each picture, without augmentation, and a head is trained on
what it said. Fine-tuned: as chapter 4. CIFAR-10: features once, at 32 pixels, then a head. There,
all 50,000 training pictures are learned from and the test pictures evaluated on, as the others do.
"""

import time
from argparse import Namespace
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from helpers import assets, data
from helpers.features import extract_features
from helpers.models import build, head_of, parameter_groups, resnet18, train_mode
from helpers.runtime import seed_everything
from helpers.training import fit
from tools.bench.protocol import BACKBONES, Run, parse, trust_cifar10

# A test compares these settings with those of the measured tables.
BATCH_SIZE, NUM_EPOCHS, LR, HEAD_LR = 16, 12, 0.008, 0.02
EPOCHS = {"frozen": NUM_EPOCHS, "fine-tuned": NUM_EPOCHS, "cifar10": 5}
CPU = torch.device("cpu")


def first(loader: DataLoader, max_batches: int | None) -> DataLoader:
    """Return the loader, or one of its first pictures where there is a limit."""
    if max_batches is None:
        return loader
    num = min(len(loader.dataset), max_batches * loader.batch_size)
    return DataLoader(Subset(loader.dataset, range(num)), loader.batch_size)


def shuffled(features: Dataset, batch_size: int, seed: int) -> DataLoader:
    """Return batches of features in an order that `seed` fixes."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(features, batch_size, shuffle=True, generator=generator)


class Stamped:
    """Notes when an epoch of `fit` has been trained and evaluated: that is when it steps this."""

    def __init__(self, scheduler: LRScheduler | None):
        """Stand in for the scheduler, if there is one."""
        self.scheduler, self.ends = scheduler, []

    def step(self) -> None:
        """Note the time; take the scheduler's step."""
        self.ends.append(time.perf_counter())
        if self.scheduler is not None:
            self.scheduler.step()


def fit_and_print(
    run: Run,
    model: nn.Module,
    train: DataLoader,
    val: DataLoader,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    args: Namespace,
    mode: Callable[[nn.Module], object] = train_mode,
) -> None:
    """Call `fit`; print its epochs afterward, from the times of its steps and of their ends."""
    steps: list[float] = []
    optimizer.register_step_post_hook(lambda *_: steps.append(time.perf_counter()))
    epochs = Stamped(scheduler)
    run.ready()
    began = time.perf_counter()
    history = fit(
        model, train, val, nn.CrossEntropyLoss(), optimizer, CPU, num_epochs=args.epochs,
        scheduler=epochs, mode=mode, max_batches=args.max_batches, verbose=False,
    )  # fmt: skip
    each = len(steps) // args.epochs
    pictures = min(each * train.batch_size, len(train.dataset))
    for epoch, (end, accuracy) in enumerate(zip(epochs.ends, history.val_accuracy, strict=True), 1):
        run.line(steps[epoch * each - 1] - began, pictures, accuracy, seconds=end - run.start)
        began = end


def frozen(args: Namespace, run: Run) -> None:
    """Train a head on features of ants and bees."""
    loaders = data.image_folders(
        args.data, size=args.size, batch_size=BATCH_SIZE, augment=False, seed=args.seed
    )
    model = resnet18(len(loaders.class_names), weights=BACKBONES["resnet18"].weights, freeze=True)
    train, val = (
        extract_features(model, first(loader, args.max_batches), CPU)
        for loader in (loaders.train, loaders.val)
    )
    optimizer = SGD(model.fc.parameters(), lr=HEAD_LR, momentum=0.9)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    batches = shuffled(train, BATCH_SIZE, args.seed), DataLoader(val, BATCH_SIZE)
    fit_and_print(run, model.fc, *batches, optimizer, scheduler, args)


def fine_tuned(args: Namespace, run: Run) -> None:
    """Train all of the network on ants and bees."""
    loaders = data.image_folders(args.data, size=args.size, batch_size=BATCH_SIZE, seed=args.seed)
    model = resnet18(len(loaders.class_names), weights=BACKBONES["resnet18"].weights)
    optimizer = SGD(parameter_groups(model, lr=LR, head_lr=HEAD_LR), momentum=0.9)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    fit_and_print(run, model, loaders.train, loaders.val, optimizer, scheduler, args)


def cifar10(args: Namespace, run: Run, *, size: int = 32, batch_size: int = 250) -> None:
    """Train a head on features of CIFAR-10, its pictures enlarged to `size`.

    batch_size: of the backbone.
    """
    trust_cifar10()
    assets.photographs_folder = lambda: args.data  # as the others: a folder that has it
    backbone = BACKBONES[args.backbone]
    loaders = data.cifar10(
        edition="photos", size=size, mean=backbone.mean, std=backbone.std,
        batch_size=batch_size, seed=args.seed,
    )  # fmt: skip
    num_classes = len(loaders.class_names)
    model = build(args.backbone, num_classes, weights=backbone.weights, freeze=True)
    train, more, test = (
        extract_features(model, first(loader, args.max_batches), CPU)
        for loader in (loaders.train, loaders.val, loaders.test)
    )
    features, head = ConcatDataset([train, more]), head_of(model)
    optimizer = Adam(head.parameters(), lr=1e-3)
    batches = shuffled(features, 100, args.seed), DataLoader(test, 100)
    fit_and_print(run, head, *batches, optimizer, None, args)


def main() -> None:
    """Run one task."""
    args = parse(__doc__, EPOCHS, size=96)
    run = Run()
    seed_everything(args.seed)
    if args.task == "cifar10":
        cifar10(args, run)
        run.end(size=32, batch_size=100)
    else:
        {"frozen": frozen, "fine-tuned": fine_tuned}[args.task](args, run)
        run.end(size=args.size, batch_size=BATCH_SIZE)


if __name__ == "__main__":
    main()
