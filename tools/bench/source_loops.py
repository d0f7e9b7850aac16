"""The loops of the tutorial that this book follows, repaired only so far that they run.

Its settings are kept, its habits too: four workers whatever the machine, every picture decoded in
every epoch, BatchNorm in training mode also where the rest is frozen, validation shuffled, CIFAR-10
at 32 pixels without normalization and an extra pass over its training pictures in each epoch. What
it writes to disk is left out. Ants and bees are normalized with the statistics that the backbone
was pretrained with: for ResNet-18 they are those of the tutorial, and with these EfficientNet-Lite0
would be given other inputs than it knows.
"""

import copy
from argparse import Namespace

import torch
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from tools.bench.protocol import STATISTICS, Run, build, parse, trust_cifar10


def ants_bees_loaders(args: Namespace) -> tuple[DataLoader, DataLoader]:
    """Read folders, four pictures a batch; both splits shuffled."""
    last = [transforms.ToTensor(), transforms.Normalize(*STATISTICS[args.backbone])]
    varied = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
    whole = [transforms.Resize(256), transforms.CenterCrop(224)]
    train = datasets.ImageFolder(args.data / "train", transforms.Compose([*varied, *last]))
    val = datasets.ImageFolder(args.data / "val", transforms.Compose([*whole, *last]))
    options = {"batch_size": 4, "shuffle": True, "num_workers": 4}
    return DataLoader(train, **options), DataLoader(val, **options)


def cifar10_loaders(args: Namespace) -> tuple[DataLoader, DataLoader]:
    """Read CIFAR-10, a hundred pictures a batch, in this process."""
    trust_cifar10()
    shifted = [transforms.Pad(4), transforms.RandomHorizontalFlip(), transforms.RandomCrop(32)]
    steps = transforms.Compose([*shifted, transforms.ToTensor()])
    train = datasets.CIFAR10(args.data, train=True, transform=steps)
    test = datasets.CIFAR10(args.data, train=False, transform=transforms.ToTensor())
    return DataLoader(train, 100, shuffle=True), DataLoader(test, 100)


def one_phase(
    model: nn.Module, loader: DataLoader, optimizer: optim.Optimizer | None = None
) -> float:
    """Train with an optimizer, evaluate without one; return the accuracy."""
    model.train(optimizer is not None)
    seen, correct, running_loss = 0, 0, 0.0
    for inputs, labels in loader:
        if optimizer is not None:
            optimizer.zero_grad()
        with torch.set_grad_enabled(optimizer is not None):
            outputs = model(inputs)
            loss = nn.functional.cross_entropy(outputs, labels)
            if optimizer is not None:
                loss.backward()
                optimizer.step()
        running_loss += loss.item() * len(labels)
        correct += (outputs.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return correct / seen


def ants_bees(args: Namespace, run: Run) -> None:
    """Train on both phases in turn, and keep a copy of the best weights."""
    model = build(args.backbone, 2, freeze=args.task == "frozen")
    train, val = ants_bees_loaders(args)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optim.SGD(trained, lr=0.001, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best_weights, best_accuracy = copy.deepcopy(model.state_dict()), 0.0
    for _ in range(args.epochs or 25):
        one_phase(model, train, optimizer)
        scheduler.step()
        accuracy = one_phase(model, val)
        if accuracy > best_accuracy:
            best_weights, best_accuracy = copy.deepcopy(model.state_dict()), accuracy
        run.line(accuracy)
    model.load_state_dict(best_weights)


def cifar10(args: Namespace, run: Run) -> None:
    """Train the head of a frozen network; after each epoch pass over both splits again."""
    train, test = cifar10_loaders(args)
    model = build(args.backbone, 10)
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    for _ in range(args.epochs or 5):
        one_phase(model, train, optimizer)
        one_phase(model, train)
        run.line(one_phase(model, test))


def main() -> None:
    """Run one task."""
    args = parse(__doc__)
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
