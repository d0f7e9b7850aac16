"""What a careful user of PyTorch would write today, after PyTorch's own tutorial.

The recipe is that of the tutorial this book follows (`source_loops.py`): batches of 4 at 224 pixels
for ants and bees, batches of 100 at 32 pixels for CIFAR-10. What care adds: as many workers as the
machine has processors, kept from epoch to epoch; evaluation in inference mode, in order; frozen
parts in evaluation mode; pictures normalized as in the backbone's pretraining, CIFAR-10's too, and
no extra pass over those that are trained on.
"""

import copy
import os
import time
from argparse import Namespace
from itertools import islice

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms import v2

from tools.bench.protocol import BACKBONES, Run, build, parse, trust_cifar10

EPOCHS = {"frozen": 25, "fine-tuned": 25, "cifar10": 5}


def read(args: Namespace) -> tuple[Dataset, Dataset]:
    """Return the training pictures, augmented, and those to evaluate on."""
    backbone = BACKBONES[args.backbone]
    normalized = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(backbone.mean, backbone.std),
    ]
    if args.task == "cifar10":
        trust_cifar10()
        shift = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
        train = CIFAR10(args.data, train=True, transform=v2.Compose([*shift, *normalized]))
        return train, CIFAR10(args.data, train=False, transform=v2.Compose(normalized))
    cut = [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()]
    whole = [v2.Resize(256), v2.CenterCrop(224)]
    train = ImageFolder(args.data / "train", v2.Compose([*cut, *normalized]))
    return train, ImageFolder(args.data / "val", v2.Compose([*whole, *normalized]))


def train_one_epoch(model, loader, criterion, optimizer, args: Namespace) -> int:
    """Train on every batch; return how many pictures there were."""
    model.train(args.task == "fine-tuned")  # what is frozen keeps its BatchNorm statistics
    pictures = 0
    for inputs, labels in islice(loader, args.max_batches):
        loss = criterion(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pictures += len(labels)
    return pictures


@torch.inference_mode()
def evaluate(model, loader, args: Namespace) -> float:
    """Return the accuracy."""
    model.eval()
    correct, seen = 0, 0
    for inputs, labels in islice(loader, args.max_batches):
        correct += (model(inputs).argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return correct / seen


def main() -> None:
    """Run one task."""
    args = parse(__doc__, EPOCHS)
    run = Run()
    torch.manual_seed(args.seed)
    train, val = read(args)
    batch_size = 100 if args.task == "cifar10" else 4
    workers = os.cpu_count()
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    train_loader = DataLoader(train, batch_size, shuffle=True, **options)
    val_loader = DataLoader(val, batch_size, **options)

    model, _ = build(args.backbone, len(train.classes))
    if args.task == "fine-tuned":
        model.requires_grad_(True)
    criterion = nn.CrossEntropyLoss()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if args.task == "cifar10":
        optimizer, scheduler = optim.Adam(trained, lr=0.001), None
    else:
        optimizer = optim.SGD(trained, lr=0.001, momentum=0.9)
        scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best_weights, best_accuracy = copy.deepcopy(model.state_dict()), 0.0

    run.ready()
    for _ in range(args.epochs):
        start = time.perf_counter()
        pictures = train_one_epoch(model, train_loader, criterion, optimizer, args)
        if scheduler is not None:
            scheduler.step()
        train_seconds = time.perf_counter() - start
        accuracy = evaluate(model, val_loader, args)
        if accuracy > best_accuracy:
            best_weights, best_accuracy = copy.deepcopy(model.state_dict()), accuracy
        run.line(train_seconds, pictures, accuracy)
    model.load_state_dict(best_weights)

    del train_loader, val_loader  # ends the workers, so that their memory is counted
    size = 32 if args.task == "cifar10" else 224
    run.end(size=size, batch_size=batch_size, workers=workers)


if __name__ == "__main__":
    main()
