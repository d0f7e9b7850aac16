"""What chapters 1 to 5 show with one seed, to be measured with several.

Each function gives, for a seed, the runs of a group, what was measured of each, and its value.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.optim import SGD
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, RandomSampler, Subset, TensorDataset
from torchvision.models import resnet18 as torchvision_resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from helpers import assets, data
from helpers.features import extract_features
from helpers.metrics import History, paired_test, predict
from helpers.models import parameter_groups, resnet18
from helpers.pictures.splits import draw_per_class
from helpers.recipe import train_head, train_network
from helpers.runtime import get_device, seed_everything
from helpers.training import evaluate, train_one_epoch

CRITERION = nn.CrossEntropyLoss()
Found = Iterator[tuple[str, str, float]]  # the run, what was measured, its value


class Group(NamedTuple):
    """Runs that are measured together, since they share features or are compared."""

    pictures: str
    name: str
    measure: Callable[[int], Found]
    seeds: int = 5


# ---- ants and bees -------------------------------------------------------------------------------


def load_ants_bees(seed: int, **options) -> data.Loaders:
    """Load ants and bees as chapters 4 and 5 do."""
    return data.ants_bees(**{"size": assets.input_size(), "seed": seed} | options)


def numbers(run: str, model: nn.Module, loaders: data.Loaders, history: History, start) -> Found:
    """Give what a training run found; the test pictures played no part in it."""
    yield run, "first training loss", history.train_loss[0]
    yield run, "last training loss", history.train_loss[-1]
    yield run, "last training accuracy", history.train_accuracy[-1]
    yield run, "best epoch", history.best_epoch
    yield run, "best validation accuracy", max(history.val_accuracy)
    yield run, "last validation accuracy", history.val_accuracy[-1]
    if loaders.test is not None:
        yield run, "test accuracy", evaluate(model, loaders.test, CRITERION, get_device()).accuracy
    yield run, "seconds", time.perf_counter() - start


def train(run: str, seed: int, load=load_ants_bees, **options) -> Found:
    """Train a network as chapter 4 does, but for `options`; give its numbers."""
    start = time.perf_counter()
    model, loaders, history = train_network(partial(load, seed), seed=seed, **options)
    yield from numbers(run, model, loaders, history, start)
    yield run, "right", right(model, loaders)


def right(model: nn.Module, loaders: data.Loaders) -> torch.Tensor:
    """Tell which pictures of the part that reports the model has right: `(N,)`, bool."""
    logits, labels = predict(model, loaders.test or loaders.val, get_device())
    return logits.argmax(dim=1) == labels


def compared(found: list, pairs: list[tuple[str, str]]) -> Found:
    """Give all numbers found, and how two models split the pictures on which they disagree."""
    answers = {run: value for run, measure, value in found if measure == "right"}
    yield from (row for row in found if row[1] != "right")
    for one, other in pairs:
        yield f"{one} > {other}", "pictures", int((answers[one] & ~answers[other]).sum())
        yield f"{other} > {one}", "pictures", int((answers[other] & ~answers[one]).sum())
        yield f"{one} ~ {other}", "p", paired_test(answers[one], answers[other])


def three(seed: int) -> Found:
    """Train the three of chapter 5."""
    found = [
        *train("frozen", seed, freeze=True),
        *train("fine-tuned", seed),
        *train("from scratch", seed, weights=None),
    ]
    yield from compared(found, [("fine-tuned", "frozen"), ("frozen", "from scratch")])


def still(model: nn.Module) -> None:
    """Put BatchNorm in training mode, but let its running statistics stand still."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0


def leak(seed: int) -> Found:
    """Train heads on backbones whose BatchNorm is not frozen, or was adapted before."""
    found = [*train("leaky", seed, freeze=True, mode=nn.Module.train)]
    found += train("batch statistics only", seed, freeze=True, mode=still)
    adapted = resnet18(2)
    seed_everything(seed)
    update_bn(load_ants_bees(seed).train, adapted)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "adapted.safetensors")
        safetensors.torch.save_file(adapted.state_dict(), weights)
        found += train("adapted once", seed, freeze=True, weights=weights)
    yield from compared(found, [])


def few(seed: int) -> Found:
    """Train with 24 pictures, drawn again and again, in 60 steps of 12."""
    for num_train in (24,):

        def load(seed: int, num_train: int = num_train) -> data.Loaders:
            loaders = load_ants_bees(seed)
            labels = torch.tensor(loaders.train.dataset.labels)
            chosen, _ = draw_per_class(labels, num_train, seed)
            part = Subset(loaders.train.dataset, chosen.tolist())
            order = torch.Generator().manual_seed(seed)
            sampler = RandomSampler(part, replacement=True, num_samples=120, generator=order)
            return loaders._replace(train=DataLoader(part, 12, sampler=sampler))

        for name, options in (("frozen", {"freeze": True}), ("fine-tuned", {})):
            run = f"{name}, {num_train} pictures"
            yield from compared([*train(run, seed, load, num_epochs=6, **options)], [])


def views(seed: int) -> Found:
    """Train the head on four views of each picture, as chapter 5 does."""
    start, device = time.perf_counter(), get_device()
    loaders = load_ants_bees(seed)
    seed_everything(seed)
    model = resnet18(2, freeze=True).to(device)
    train = extract_features(model, loaders.train, device, num_views=4)
    others = [extract_features(model, loader, device) for loader in loaders[1:3] if loader]
    run = "frozen, four views"
    yield from train_on(run, seed, start, train, *others, num_epochs=3, batch_size=16)


def sgd(parameters, lr: float = 0.02) -> SGD:
    """Make the optimizer of a head in chapter 5."""
    return SGD(parameters, lr=lr, momentum=0.9)


def train_on(run: str, seed: int, start: float, train, val, test=None, **options) -> Found:
    """Train a head on features; give its numbers."""
    settings = {"make_optimizer": sgd} | options
    head, history = train_head(train, val, 2, seed=seed, **settings)
    loaders = [loader and DataLoader(loader, 500) for loader in (train, val, test)]
    head_loaders = data.Loaders(*loaders, ["ants", "bees"], data.MEAN, data.STD)
    yield from numbers(run, head, head_loaders, history, start)


def stages(seed: int) -> Found:
    """Train heads on the averages of earlier stages, without augmentation."""
    loaders, device = load_ants_bees(seed, augment=False), get_device()
    for stage in ("layer2", "layer3", "layer4"):
        start = time.perf_counter()
        extractor = create_feature_extractor(resnet18(2), {stage: "out"})
        backbone = Average(extractor).to(device)
        parts = (extract_features(backbone, loader, device) for loader in loaders[:3] if loader)
        yield from train_on(f"head on {stage}", seed, start, *parts, num_epochs=12, batch_size=16)


class Average(nn.Module):
    """The average over all positions of what a stage gives."""

    def __init__(self, extractor: nn.Module):
        """Take what gives the stage's output under the name "out"."""
        super().__init__()
        self.extractor, self.fc = extractor, nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the averages `(B, channels)`."""
        return self.fc(self.extractor(inputs)["out"].mean(dim=(2, 3)))


def probes(seed: int) -> Found:
    """Measure what features say without a trained network: chapter 1."""
    loaders, device = load_ants_bees(seed, augment=False), get_device()
    for name, weights in (("random", None), ("pretrained", "pretrained")):
        seed_everything(seed)
        model = resnet18(2, weights=weights).to(device)
        x, y = extract_features(model, loaders.train, device).tensors
        val_x, val_y = extract_features(model, loaders.val, device).tensors
        averages = torch.stack([x[y == label].mean(dim=0) for label in (0, 1)])
        nearest = torch.cdist(val_x, averages).argmin(dim=1)
        yield f"nearest average, {name}", "validation accuracy", accuracy(nearest, val_y)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        classifier.fit(x.numpy(), y.numpy())
        score = classifier.score(val_x.numpy(), val_y.numpy())
        yield f"logistic regression, {name}", "validation accuracy", score
    if seed == 0 and assets.backbone().edition == "rendered":
        yield from old_head(loaders)


def old_head(loaders: data.Loaders) -> Found:
    """Ask the head that the backbone was pretrained with for its bee: no label of ours is used."""
    names = (assets.EMBEDDED / "tiny_imagenet_classes.tsv").read_text("utf8").splitlines()
    bee = [line.split("\t")[0] for line in names].index("n02206856")
    model = torchvision_resnet18(num_classes=200)
    model.load_state_dict(safetensors.torch.load_file(assets.backbone().path))
    logits, labels = predict(model.to(get_device()), loaders.val, get_device())
    score = logits.softmax(dim=1)[:, bee]
    yield "old head's bee", "AUC", roc_auc_score(labels, score)


def accuracy(predicted: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of equal ones."""
    return (predicted == labels).float().mean().item()


def first_epoch(seed: int) -> Found:
    """Measure the first epoch's training pictures in four ways: chapter 4's exercise."""
    device = get_device()
    seed_everything(seed)
    loaders = load_ants_bees(seed)
    model = resnet18(2).to(device)
    optimizer = SGD(parameter_groups(model, lr=0.008, head_lr=0.02), momentum=0.9)
    during = train_one_epoch(model, loaders.train, CRITERION, optimizer, device)
    yield "first epoch, during", "training accuracy", during.accuracy
    crops = evaluate(model, loaders.train, CRITERION, device)
    yield "first epoch, after, crops", "training accuracy", crops.accuracy
    plain = load_ants_bees(seed, augment=False).train
    whole = evaluate(model, plain, CRITERION, device)
    yield "first epoch, after, whole", "training accuracy", whole.accuracy
    no_step = SGD(
        model.parameters(), lr=0.0
    )  # one more epoch in training mode that changes no weight
    batches = train_one_epoch(copy.deepcopy(model), loaders.train, CRITERION, no_step, device)
    run = "first epoch, after, crops, training mode"
    yield run, "training accuracy", batches.accuracy


# ---- ten classes ---------------------------------------------------------------------------------


def load_ten(seed: int, **options) -> data.Loaders:
    """Load the ten classes as chapter 3 does."""
    return data.cifar10(**{"num_train": 4500, "seed": seed} | options)


def features_of_ten(seed: int, **options) -> list[TensorDataset]:
    """Return the features of the three parts."""
    loaders = load_ten(seed, **options)
    backbone = resnet18(10, freeze=True).to(get_device())
    return [extract_features(backbone, loader, get_device()) for loader in loaders[:3]]


def head_of(run: str, seed: int, parts: list[TensorDataset], **settings) -> Found:
    """Train a head for ten classes on features; give its numbers and what it has right."""
    start = time.perf_counter()
    head, history = train_head(parts[0], parts[1], 10, seed=seed, **settings)
    on_features = [DataLoader(part, 500) for part in parts]
    head_loaders = data.Loaders(*on_features, list(assets.CIFAR10_CLASSES), data.MEAN, data.STD)
    yield from numbers(run, head, head_loaders, history, start)
    yield run, "right", right(head, head_loaders)


def heads(seed: int) -> Found:
    """Train heads on pictures that were prepared in several ways."""
    found = []
    for size in (32, 64, 96) if assets.cifar10().edition == "rendered" else (32, 64):
        parts = features_of_ten(seed, size=size)
        found += head_of(f"head, {size} px", seed, parts)
        if size == 64:
            slower = {"make_optimizer": partial(sgd, lr=0.01)}
            found += head_of("head, 64 px, SGD", seed, parts, **slower)
            for count in (100, 500):
                chosen, _ = draw_per_class(parts[0].tensors[1], count, seed)
                fewer = TensorDataset(*(tensor[chosen] for tensor in parts[0].tensors))
                run = f"head, 64 px, {count} pictures"
                found += head_of(run, seed, [fewer, *parts[1:]])
        if size < 96:
            raw = features_of_ten(seed, size=size, normalized=False)
            found += head_of(f"head, raw, {size} px", seed, raw)
    pairs = [("head, 64 px", "head, 32 px"), ("head, 32 px", "head, raw, 32 px")]
    yield from compared(found, pairs)


TEN_NETWORK = {"num_epochs": 5, "lr": 0.01, "head_lr": 0.01}  # chapter 3's, for a whole network


def networks(seed: int) -> Found:
    """Train whole networks for ten classes, on pictures of 32 pixels."""
    for name, weights in (("fine-tuned", "pretrained"), ("from scratch", None)):
        options = {"weights": weights, **TEN_NETWORK}
        yield from compared([*train(f"{name}, 32 px", seed, load_ten, **options)], [])


ANTS, TEN = "ants and bees", "ten classes"
GROUPS = [
    Group(ANTS, "leak", leak),
    Group(ANTS, "probes", probes),
    Group(ANTS, "stages", stages),
    Group(ANTS, "first_epoch", first_epoch, seeds=3),
    Group(ANTS, "views", views, seeds=3),
    Group(TEN, "heads", heads, seeds=3),
    Group(ANTS, "three", three),
    Group(ANTS, "few", few, seeds=3),
    Group(TEN, "networks", networks, seeds=3),
]
