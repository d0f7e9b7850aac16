"""What a careful user of PyTorch would write today, after PyTorch's own tutorial.

The recipe is that of the tutorial this book follows (`source_loops.py`): batches of 4 at 224 pixels
for ants and bees, batches of 100 at 32 pixels for CIFAR-10. What care adds: as many workers as the
machine has processors, kept from epoch to epoch; evaluation in inference mode, in order; frozen
parts in evaluation mode; pictures normalized as in the backbone's pretraining, CIFAR-10's too, and
no extra pass over those that are trained on.
"""

import copy
import os
from argparse import Namespace

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms import v2

from tools.bench.protocol import STATISTICS, Run, build, parse, trust_cifar10


def read(args: Namespace) -> tuple[Dataset, Dataset]:
    """Return the training pictures, augmented, and those to evaluate on."""
    normalize = v2.Normalize(*STATISTICS[args.backbone])
    last = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalize]
    if args.task == "cifar10":
        trust_cifar10()
        shift = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
        train = CIFAR10(args.data, train=True, transform=v2.Compose([*shift, *last]))
        return train, CIFAR10(args.data, train=False, transform=v2.Compose(last))
    cut = [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()]
    whole = [v2.Resize(256), v2.CenterCrop(224)]
    train = ImageFolder(args.data / "train", v2.Compose([*cut, *last]))
    return train, ImageFolder(args.data / "val", v2.Compose([*whole, *last]))


def train_one_epoch(model, loader, criterion, optimizer, frozen: bool) -> None:
    """Train on every batch."""
    model.train(not frozen)  # what is frozen keeps its BatchNorm statistics
    for inputs, labels in loader:
        loss = criterion(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def evaluate(model, loader) -> float:
    """Return the accuracy."""
    model.eval()
    correct, seen = 0, 0
    for inputs, labels in loader:
        correct += (model(inputs).argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return correct / seen


def main() -> None:
    """Run one task."""
    args = parse(__doc__)
    run = Run()
    torch.manual_seed(args.seed)
    ten, frozen = args.task == "cifar10", args.task != "fine-tuned"
    model = build(args.backbone, 10 if ten else 2, freeze=frozen)
    train, val = read(args)
    batch_size, workers = 100 if ten else 4, os.cpu_count() or 0
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    train_loader = DataLoader(train, batch_size, shuffle=True, **options)
    val_loader = DataLoader(val, batch_size, **options)

    criterion = nn.CrossEntropyLoss()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if ten:
        optimizer, scheduler = optim.Adam(trained, lr=0.001), None
    else:
        optimizer = optim.SGD(trained, lr=0.001, momentum=0.9)
        scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best_weights, best_accuracy = copy.deepcopy(model.state_dict()), 0.0
    for _ in range(args.epochs or (5 if ten else 25)):
        train_one_epoch(model, train_loader, criterion, optimizer, frozen)
        if scheduler is not None:
            scheduler.step()
        accuracy = evaluate(model, val_loader)
        if accuracy > best_accuracy:
            best_weights, best_accuracy = copy.deepcopy(model.state_dict()), accuracy
        run.line(accuracy)
    model.load_state_dict(best_weights)

    del train_loader, val_loader  # ends the workers, so that their memory is counted
    run.end(size=32 if ten else 224, batch_size=batch_size, workers=workers)


if __name__ == "__main__":
    main()
