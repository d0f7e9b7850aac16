"""What chapters 1 to 5 show with one seed, to be measured with several.

Each function gives, for a seed, the runs of a group, what was measured of each, and its value.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import safetensors.torch
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, RandomSampler, Subset, TensorDataset

from helpers import assets, data
from helpers.explorers.layers import probe
from helpers.features import extract_features
from helpers.metrics import History, paired_test, predict
from helpers.models import fixed_statistics, parameter_groups, resnet18, train_mode
from helpers.pictures.dataset import Pictures
from helpers.pictures.splits import draw_per_class
from helpers.recipe import train_head, train_network
from helpers.runtime import get_device, seed_everything
from helpers.training import evaluate, train_one_epoch

ANTS, TEN = "ants and bees", "ten classes"
CRITERION = nn.CrossEntropyLoss()
Row = tuple[str, str, float]  # the run, what was measured, its value


class Group(NamedTuple):
    """Runs that are measured together, since they share features or are compared."""

    pictures: str
    name: str
    measure: Callable[[int], Iterable[Row]]
    seeds: int = 5


class Found(NamedTuple):
    """What a training run gave."""

    rows: list[Row]
    right: Tensor  # `(N,)`, bool: which pictures of the part that reports


def found(run: str, model: nn.Module, history: History, loaders: Sequence[DataLoader]) -> Found:
    """Give what a training run found; the last of two or three loaders reports.

    The test pictures, if there are some, played no part in the run.
    """
    numbers = {
        "first training loss": history.train_loss[0],
        "last training loss": history.train_loss[-1],
        "last training accuracy": history.train_accuracy[-1],
        "best epoch": history.best_epoch,
        "best validation accuracy": max(history.val_accuracy),
        "last validation accuracy": history.val_accuracy[-1],
    }
    if len(loaders) > 2:
        numbers["test accuracy"] = evaluate(model, loaders[2], CRITERION, get_device()).accuracy
    rows = [(run, measure, value) for measure, value in numbers.items()]
    logits, labels = predict(model, loaders[-1], get_device())
    return Found(rows, logits.argmax(dim=1) == labels)


def compared(runs: dict[str, Found], pairs: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """Give all numbers found, and how two models split the pictures on which they disagree."""
    yield from chain.from_iterable(run.rows for run in runs.values())
    for one, other in pairs:
        first, second = runs[one].right, runs[other].right
        yield f"{one} > {other}", "pictures", int((first & ~second).sum())
        yield f"{other} > {one}", "pictures", int((second & ~first).sum())
        yield f"{one} ~ {other}", "p", paired_test(first, second)


def loaders_of(loaders: data.Loaders) -> list[DataLoader]:
    """Return the two or three loaders."""
    return [loader for loader in loaders[:3] if loader is not None]


def labels_of(loader: DataLoader) -> Tensor:
    """Return the labels of a loader's pictures: `(N,)`, int64."""
    return torch.tensor(cast(Pictures, loader.dataset).labels)


# ---- ants and bees -------------------------------------------------------------------------------


def load_ants_bees(seed: int, **options) -> data.Loaders:
    """Load ants and bees as chapters 4 and 5 do."""
    return data.ants_bees(size=assets.input_size(), seed=seed, **options)


def train(run: str, seed: int, load=load_ants_bees, **options) -> Found:
    """Train a network as chapter 4 does, but for `options`."""
    model, loaders, history = train_network(partial(load, seed), seed=seed, **options)
    return found(run, model, history, loaders_of(loaders))


def three(seed: int) -> Iterator[Row]:
    """Train the three of chapter 5."""
    options = {"frozen": {"freeze": True}, "fine-tuned": {}, "from scratch": {"weights": None}}
    runs = {run: train(run, seed, **more) for run, more in options.items()}
    yield from compared(runs, [("fine-tuned", "frozen"), ("frozen", "from scratch")])


def rates(seed: int) -> Iterator[Row]:
    """Fine-tune with other rates of the backbone than chapter 4's, in two modes of BatchNorm."""
    for mode, rates in ((train_mode, (0.002, 0.03, 0.3)), (fixed_statistics, (0.002, 0.008))):
        for lr in rates:
            yield from train(f"rate {lr}, {mode.__name__}", seed, lr=lr, mode=mode).rows


def still(model: nn.Module) -> None:
    """Put BatchNorm in training mode, but let its running statistics stand still."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0


def leak(seed: int) -> Iterator[Row]:
    """Train heads on backbones whose BatchNorm is not frozen, or was adapted before."""
    yield from train("leaky", seed, freeze=True, mode=nn.Module.train).rows
    yield from train("batch statistics only", seed, freeze=True, mode=still).rows
    adapted = resnet18(2)
    seed_everything(seed)
    update_bn(load_ants_bees(seed).train, adapted)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "adapted.safetensors")
        safetensors.torch.save_file(adapted.state_dict(), weights)
        yield from train("adapted once", seed, freeze=True, weights=weights).rows


def load_few(seed: int) -> data.Loaders:
    """Load 24 of the training pictures, drawn again and again: ten steps of 12 an epoch."""
    loaders = load_ants_bees(seed)
    chosen, _ = draw_per_class(labels_of(loaders.train), 24, seed)
    part = Subset(loaders.train.dataset, chosen.tolist())
    order = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(part, replacement=True, num_samples=120, generator=order)
    return loaders._replace(train=DataLoader(part, 12, sampler=sampler))


def few(seed: int) -> Iterator[Row]:
    """Train with 24 pictures, in 60 steps."""
    yield from train("frozen, 24 pictures", seed, load_few, num_epochs=6, freeze=True).rows
    yield from train("fine-tuned, 24 pictures", seed, load_few, num_epochs=6).rows


def train_on(run: str, seed: int, parts: list[TensorDataset], **options) -> Found:
    """Train a head on features of two or three parts; it reports on the last."""
    make_optimizer = partial(SGD, lr=0.02, momentum=0.9)  # as in chapter 5
    settings = {"num_classes": 2, "batch_size": 16, "make_optimizer": make_optimizer} | options
    head, history = train_head(parts[0], parts[1], seed=seed, **settings)
    return found(run, head, history, [DataLoader(part, 500) for part in parts])


def views(seed: int) -> Iterator[Row]:
    """Train the head on four views of each picture, as chapter 5 does."""
    device = get_device()
    train, *others = loaders_of(load_ants_bees(seed))
    seed_everything(seed)
    model = resnet18(2, freeze=True).to(device)
    parts = [extract_features(model, train, device, num_views=4)]
    parts += [extract_features(model, loader, device) for loader in others]
    yield from train_on("frozen, four views", seed, parts, num_epochs=3).rows


def stages(seed: int) -> Iterator[Row]:
    """Fit the best head to the standardized averages of a stage, as chapter 1's explorer does."""
    loaders, layers = loaders_of(load_ants_bees(seed, augment=False)), [*resnet18(2).children()]
    for stage, end in (("layer2", 6), ("layer3", 7), ("layer4", 8)):
        averages = nn.Sequential(*layers[:end], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        train, *others = (predict(averages, loader, get_device()) for loader in loaders)
        for part, tensors in zip(("validation", "test"), others, strict=False):
            yield f"head on {stage}", f"{part} accuracy", probe(*train, *tensors)


def probes(seed: int) -> Iterator[Row]:
    """Measure what features say without a trained network: chapter 1."""
    loaders, device = load_ants_bees(seed, augment=False), get_device()
    for name, weights in (("random", None), ("pretrained", "pretrained")):
        seed_everything(seed)
        model = resnet18(2, weights=weights).to(device)
        x, y = extract_features(model, loaders.train, device).tensors
        val_x, val_y = extract_features(model, loaders.val, device).tensors
        averages = torch.stack([x[y == label].mean(dim=0) for label in (0, 1)])
        nearest = torch.cdist(val_x, averages).argmin(dim=1)
        share = (nearest == val_y).float().mean().item()
        yield f"nearest average, {name}", "validation accuracy", share
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        classifier.fit(x.numpy(), y.numpy())
        score = classifier.score(val_x.numpy(), val_y.numpy())
        yield f"logistic regression, {name}", "validation accuracy", score


def first_epoch(seed: int) -> Iterator[Row]:
    """Measure the first epoch's training pictures in four ways: chapter 4's exercise."""
    device = get_device()
    seed_everything(seed)
    loaders = load_ants_bees(seed)
    model = resnet18(2).to(device)
    optimizer = SGD(parameter_groups(model, lr=0.008, head_lr=0.02), momentum=0.9)
    during = train_one_epoch(model, loaders.train, CRITERION, optimizer, device)
    crops = evaluate(model, loaders.train, CRITERION, device)
    plain = load_ants_bees(seed, augment=False).train
    whole = evaluate(model, plain, CRITERION, device)
    no_step = SGD(model.parameters(), lr=0.0)  # an epoch in training mode that changes no weight
    batches = train_one_epoch(model, loaders.train, CRITERION, no_step, device)
    runs = {"during": during, "after, crops": crops, "after, whole": whole}
    for run, metrics in (runs | {"after, crops, training mode": batches}).items():
        yield f"first epoch, {run}", "training accuracy", metrics.accuracy


# ---- ten classes ---------------------------------------------------------------------------------


def load_ten(seed: int, **options) -> data.Loaders:
    """Load the ten classes as chapter 3 does."""
    return data.cifar10(num_train=4500, seed=seed, **options)


HEAD_OF_TEN = {"num_classes": 10, "batch_size": 100, "make_optimizer": Adam}  # chapter 3's


def heads(seed: int) -> Iterator[Row]:
    """Train heads on pictures that were prepared in several ways."""
    device, runs = get_device(), {}
    for size in (32, 64, 96) if assets.cifar10().edition == "rendered" else (32, 64):
        for name, normalized in (("head", True), ("head, raw", False))[: 1 if size == 96 else 2]:
            loaders = loaders_of(load_ten(seed, size=size, normalized=normalized))
            backbone = resnet18(10, freeze=True).to(device)
            parts = [extract_features(backbone, loader, device) for loader in loaders]
            run = f"{name}, {size} px"
            runs[run] = train_on(run, seed, parts, **HEAD_OF_TEN)
    pairs = [("head, 64 px", "head, 32 px"), ("head, 32 px", "head, raw, 32 px")]
    yield from compared(runs, pairs)


def networks(seed: int) -> Iterator[Row]:
    """Train whole networks for ten classes, on pictures of 32 pixels, as chapter 3 does."""
    options = {"num_epochs": 5, "lr": 0.01, "head_lr": 0.01}
    yield from train("fine-tuned, 32 px", seed, load_ten, **options).rows
    yield from train("from scratch, 32 px", seed, load_ten, weights=None, **options).rows


def imbalance(seed: int) -> Iterator[Row]:
    """Train heads on airplanes and a twentieth as many ships, as chapter 3 does."""
    backbone, device, parts = resnet18(10, freeze=True).to(get_device()), get_device(), []
    for loader, share in zip(loaders_of(load_ten(seed, size=64))[::2], (20, 1), strict=True):
        airplanes, ships = ((labels_of(loader) == c).nonzero()[:, 0].tolist() for c in (0, 8))
        chosen = Subset(loader.dataset, airplanes + ships[: len(airplanes) // share])
        x, y = extract_features(backbone, DataLoader(chosen, 100), device).tensors
        parts += [x.to(device), (y == 8).long().to(device)]
    x, y, test_x, test_y = parts
    batches: Any = [(x, y)]  # all in one, in place of a loader
    shares, logits = y.bincount() / len(y), {}
    for run, weight in (("as trained", None), ("weights in the loss", 1 / shares)):
        seed_everything(seed)
        head, criterion = nn.Linear(512, 2).to(device), nn.CrossEntropyLoss(weight)
        optimizer = Adam(head.parameters(), lr=1e-3)
        for _ in range(300):
            train_one_epoch(head, batches, criterion, optimizer, device)
        logits[run] = head(test_x)
    logits["log prior subtracted"] = logits["as trained"] - shares.log()
    for run, answers in logits.items():
        right = (answers.argmax(dim=1) == test_y).float()
        recalls = torch.stack([right[test_y == c].mean() for c in (0, 1)])
        yield run, "recall of ships", recalls[1].item()
        yield run, "accuracy on the same mix", (recalls * shares).sum().item()


GROUPS = [
    Group(ANTS, "leak", leak),
    Group(ANTS, "probes", probes),
    Group(ANTS, "stages", stages, seeds=1),
    Group(ANTS, "first_epoch", first_epoch, seeds=3),
    Group(ANTS, "views", views, seeds=3),
    Group(TEN, "heads", heads, seeds=3),
    Group(ANTS, "three", three),
    Group(ANTS, "few", few),
    Group(ANTS, "rates", rates, seeds=3),
    Group(TEN, "networks", networks, seeds=3),
    Group(TEN, "imbalance", imbalance),
]
