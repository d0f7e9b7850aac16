"""The loops of the tutorial that this book follows, repaired only so far that they run.

Its settings are kept, its habits too: four workers whatever the machine, every picture decoded in
every epoch, BatchNorm in training mode also where the rest is frozen, validation shuffled, CIFAR-10
at 32 pixels without normalization and an extra pass over its training pictures in each epoch. What
it writes to disk is left out. Ants and bees are normalized with the statistics that the backbone
was pretrained with: for ResNet-18 they are those of the tutorial, and with these EfficientNet-Lite0
would be given other inputs than it knows.
"""

import copy
import time
from argparse import Namespace
from itertools import islice

import torch
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from tools.bench.protocol import BACKBONES, Run, build, parse, trust_cifar10

EPOCHS = {"frozen": 25, "fine-tuned": 25, "cifar10": 5}


def ants_bees_loaders(args: Namespace) -> dict[str, DataLoader]:
    """Read folders, four pictures a batch; both parts shuffled."""
    backbone = BACKBONES[args.backbone]
    last = [transforms.ToTensor(), transforms.Normalize(backbone.mean, backbone.std)]
    first = {
        "train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
        "val": [transforms.Resize(256), transforms.CenterCrop(224)],
    }
    return {
        split: DataLoader(
            datasets.ImageFolder(args.data / split, transforms.Compose([*steps, *last])),
            batch_size=4,
            shuffle=True,
            num_workers=4,
        )
        for split, steps in first.items()
    }


def ants_bees(args: Namespace, run: Run) -> None:
    """Train on both phases in turn, and keep a copy of the best weights."""
    loaders = ants_bees_loaders(args)
    model, head = build(args.backbone, num_classes=2)
    if args.task == "fine-tuned":
        model.requires_grad_(True)
    trained = head.parameters() if args.task == "frozen" else model.parameters()
    optimizer = optim.SGD(trained, lr=0.001, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    criterion = nn.CrossEntropyLoss()
    best_weights, best_accuracy = copy.deepcopy(model.state_dict()), 0.0

    run.ready()
    for _ in range(args.epochs):
        start = time.perf_counter()
        pictures, _ = one_phase(model, loaders["train"], criterion, optimizer, args.max_batches)
        scheduler.step()
        train_seconds = time.perf_counter() - start
        seen, correct = one_phase(model, loaders["val"], criterion, None, args.max_batches)
        if correct / seen > best_accuracy:
            best_weights, best_accuracy = copy.deepcopy(model.state_dict()), correct / seen
        run.line(train_seconds, pictures, correct / seen)
    model.load_state_dict(best_weights)


def one_phase(
    model: nn.Module,
    loader: DataLoader,
    criterion: nn.Module,
    optimizer: optim.Optimizer | None,
    max_batches: int | None,
) -> tuple[int, int]:
    """Train with an optimizer, evaluate without one; return the pictures seen, and got right."""
    training = optimizer is not None
    model.train(training)
    seen, correct, running_loss = 0, 0, 0.0
    for inputs, labels in islice(loader, max_batches):
        if training:
            optimizer.zero_grad()
        with torch.set_grad_enabled(training):
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            if training:
                loss.backward()
                optimizer.step()
        running_loss += loss.item() * len(labels)
        correct += (outputs.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return seen, correct


def cifar10_loaders(args: Namespace) -> tuple[DataLoader, DataLoader]:
    """Read CIFAR-10, a hundred pictures a batch, in this process."""
    trust_cifar10()
    shifted = [transforms.Pad(4), transforms.RandomHorizontalFlip(), transforms.RandomCrop(32)]
    steps = transforms.Compose([*shifted, transforms.ToTensor()])
    train = datasets.CIFAR10(args.data, train=True, transform=steps)
    test = datasets.CIFAR10(args.data, train=False, transform=transforms.ToTensor())
    return DataLoader(train, 100, shuffle=True), DataLoader(test, 100)


def cifar10(args: Namespace, run: Run) -> None:
    """Train the head of a frozen network; after each epoch pass over both parts again."""
    train_loader, test_loader = cifar10_loaders(args)
    model, _ = build(args.backbone, num_classes=10)
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()

    run.ready()
    for _ in range(args.epochs):
        start = time.perf_counter()
        pictures, _ = one_phase(model, train_loader, criterion, optimizer, args.max_batches)
        train_seconds = time.perf_counter() - start
        one_phase(model, train_loader, criterion, None, args.max_batches)
        seen, correct = one_phase(model, test_loader, criterion, None, args.max_batches)
        run.line(train_seconds, pictures, correct / seen)


def main() -> None:
    """Run one task."""
    args = parse(__doc__, EPOCHS)
    run = Run()
    torch.manual_seed(args.seed)
    if args.task == "cifar10":
        cifar10(args, run)
        run.end(size=32, batch_size=100)
    else:
        ants_bees(args, run)
        run.end(size=224, batch_size=4, workers=4)


if __name__ == "__main__":
    main()
