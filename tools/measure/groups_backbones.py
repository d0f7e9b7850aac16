"""What chapters 6 and 7 show with one seed, or only tell: two backbones and a random one."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Subset, TensorDataset

from helpers import assets, data, models
from helpers.features import backbone_of, cached_features, extract_features
from helpers.metrics import predict
from helpers.models import STRATEGIES, build, fixed_statistics, train_mode
from helpers.pictures.splits import draw_per_class
from helpers.recipe import fine_tune, fit_logistic_regression
from helpers.runtime import get_device, seed_everything
from helpers.training import evaluate, train_one_epoch
from tools.measure import groups
from tools.measure.groups import ANTS, TEN, Group, Row

LITE0 = "tf_efficientnet_lite0"
ANT, BEE = 310, 309  # outputs of ImageNet's head
CPU = torch.device("cpu")
WITH_BEST_HEAD = {"num_epochs": 1, "lr": 0.0, "head_lr": 0.0}  # what `fine_tune` begins with
TIMED, TURNS = 4, 5  # batches, and how often each strategy takes its turn


class Backbone(NamedTuple):
    """A network, and how the chapter uses it."""

    title: str
    name: str
    size: int  # of its pictures
    weights: str | None = "pretrained"


RANDOM = Backbone("random", "resnet18", 96, None)
TINY = Backbone("ResNet-18", "resnet18", 96)
IMAGENET = Backbone("Lite0", LITE0, 160)
LARGER = Backbone("Lite2", "tf_efficientnet_lite2", 192)
BOTH = (TINY, IMAGENET)
ALL = (*BOTH, LARGER)


def statistics(backbone: Backbone) -> dict[str, data.RGB]:
    """Return what its pictures are normalized with."""
    return data.statistics(build(backbone.name, 2, weights=None))


def loading(backbone: Backbone, seed: int = 0, **options) -> partial:
    """Return what loads ants and bees for a backbone."""
    options |= {"size": backbone.size, "seed": seed}
    return partial(data.ants_bees, **statistics(backbone), **options)


def features(backbone: Backbone, **options) -> dict[str, TensorDataset]:
    """Return the features of the whole pictures of each part."""
    loaders = groups.loaders_of(loading(backbone, augment=False, **options)())
    model = build(backbone.name, 2, weights=backbone.weights).to(get_device())
    parts = zip(("train", "validation", "test"), loaders, strict=False)
    return {part: cached_features(model, loader, get_device()) for part, loader in parts}


def scores(run: str, answer, parts: dict[str, TensorDataset]) -> Iterator[Row]:
    """Give the accuracy of an answer, which makes classes of features, on all parts but one."""
    for part, (inputs, labels) in ((p, parts[p].tensors) for p in parts if p != "train"):
        yield run, f"{part} accuracy", (answer(inputs) == labels).float().mean().item()


def head(run: str, train: TensorDataset, parts: dict[str, TensorDataset]) -> Iterator[Row]:
    """Give the accuracy of the best head on some features."""
    linear = fit_logistic_regression(train, 2)
    yield from scores(run, lambda inputs: linear(inputs).argmax(dim=1), parts)


def nearest(train: TensorDataset, inputs: Tensor, k: int = 5) -> Tensor:
    """Return the class of most of the k training pictures whose features point the same way."""
    theirs, labels = train.tensors
    unit = nn.functional.normalize
    _, found = (unit(inputs) @ unit(theirs).T).topk(k, dim=1)
    return labels[found].mode(dim=1).values


def kinds(seed: int) -> Iterator[Row]:
    """Compare neighbors and heads on random, Tiny ImageNet's and ImageNet's features."""
    for backbone in (RANDOM, *ALL):
        if backbone is not RANDOM and seed:
            continue  # nothing is drawn
        seed_everything(seed)
        parts = features(backbone)
        neighbors = partial(nearest, parts["train"])
        yield from scores(f"neighbors, {backbone.title}", neighbors, parts)
        yield from head(f"head, {backbone.title}", parts["train"], parts)


def untrained(seed: int) -> Iterator[Row]:
    """Ask ImageNet's own head for its ant and its bee, and a head that is written from words."""
    two = torch.tensor([ANT, BEE])  # in the order of our labels
    ours = torch.full((1000,), -1).scatter(0, two, torch.arange(2))  # our label of each class
    names, words = load_file(assets.resolve("words").path).values()
    for backbone in (IMAGENET, LARGER):
        parts, state = features(backbone), load_file(str(assets.weights(backbone.name)))
        rows, bias = (state[f"classifier.{name}"].float() for name in ("weight", "bias"))
        (center, *_) = (part.tensors[0].mean(dim=0) for part in parts.values())
        for part, (inputs, labels) in ((p, parts[p].tensors) for p in parts if p != "train"):
            logits = linear(inputs, rows, bias)
            found = {"two": logits[:, two].argmax(dim=1), "thousand": ours[logits.argmax(dim=1)]}
            for known, without in (("words", []), ("other words", [ANT, BEE])):
                kept = [i for i in range(1000) if i not in without]
                head = write_head(names[kept].float(), rows[kept], words[:2].float())
                found[known] = linear(inputs, head).argmax(dim=1)
                found[f"{known}, centered"] = linear(inputs - center, head).argmax(dim=1)
            for run, classes in found.items():
                share = (classes == labels).float().mean().item()
                yield f"{run}, {backbone.title}", f"{part} accuracy", share


def write_head(names: Tensor, rows: Tensor, words: Tensor) -> Tensor:
    """Return a row `(W, 1280)` for each word `(W, 384)`, by ridge regression from names to rows."""
    center = names.mean(dim=0)
    x, y = names - center, rows - rows.mean(dim=0)
    slopes = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ y)
    return (words - center) @ slopes


def labels(seed: int) -> Iterator[Row]:
    """Train heads on a few pictures a class, another draw each seed."""
    for backbone in ALL:
        parts = features(backbone)
        inputs, labels = parts["train"].tensors
        for count in (1, 2, 5, 10, 20):
            chosen, _ = draw_per_class(labels, 2 * count, seed)
            few = TensorDataset(inputs[chosen], labels[chosen])
            yield from head(f"{count} a class, {backbone.title}", few, parts)


def lite_views(seed: int) -> Iterator[Row]:
    """Fit the best head on four views of each training picture, for each larger backbone."""
    for backbone in (IMAGENET, LARGER):
        network = backbone_of(build(backbone.name, 2), get_device())
        train, parts = loading(backbone, seed)().train, features(backbone)
        seed_everything(seed)
        views = zip(*(predict(network, train, get_device()) for _ in range(4)), strict=True)
        four = TensorDataset(*map(torch.cat, views))
        yield from head(f"four views, {backbone.title}", four, parts)


def sizes(seed: int) -> Iterator[Row]:
    """Train heads on features of pictures of several sizes."""
    for backbone in ALL:
        for size in (64, 96, 128, 160, 192, 224, 260):
            parts = features(backbone._replace(size=size))
            yield from head(f"{size} px, {backbone.title}", parts["train"], parts)


def shift(seed: int) -> Iterator[Row]:
    """Train on renders, test on photographs, where they are."""
    if assets.ants_bees().edition == "photos":
        for backbone in ALL:
            photos, renders = (features(backbone, edition=e) for e in ("photos", "rendered"))
            yield from head(f"from renders, {backbone.title}", renders["train"], photos)


class Strategy(NamedTuple):
    """A way to train: what, how, and at which rate for each backbone."""

    strategy: str
    resnet18_lr: float
    lite_lr: float
    mode: Callable[[nn.Module], object] = fixed_statistics
    head_first: bool = True


# The rates come from short trials on training photographs; they are not tuned.
LADDER = {
    "head": Strategy("head", 0.0, 0.0),
    "normalization": Strategy("normalization", 1e-3, 1e-3),
    "normalization, batch statistics": Strategy("normalization", 1e-3, 1e-3, train_mode),
    "low rank": Strategy("low rank", 1e-3, 1e-3),
    "last stage": Strategy("last stage", 3e-4, 1e-4),
    "all": Strategy("all", 3e-4, 3e-5),
    "all, batch statistics": Strategy("all", 3e-4, 3e-5, train_mode),
    "all, new head": Strategy("all", 3e-4, 3e-5, head_first=False),
}


def climb(
    backbone: Backbone,
    seed: int,
    *,
    loading: Callable[[Backbone, int], Callable[..., data.Loaders]] = loading,
    titles: Iterable[str] = LADDER,
) -> Iterator[Row]:
    """Train on these strategies, the head first, and compare each with the head alone."""
    runs = {}
    for title in titles:
        strategy, resnet18_lr, lite_lr, mode, head_first = LADDER[title]
        lr = resnet18_lr if backbone is TINY else lite_lr
        options = {"head_first": head_first, "mode": mode, "lr": lr, "seed": seed}
        options["head_lr"] = lr if head_first else 1e-3
        load, run = loading(backbone, seed), f"{title}, {backbone.title}"
        if strategy == "head":
            options |= WITH_BEST_HEAD
        model, loaders, history = fine_tune(load, backbone.name, strategy, **options)
        runs[run] = groups.found(run, model, history, groups.loaders_of(loaders))
    first, *others = runs
    yield from groups.compared(runs, [(run, first) for run in others])


def loading_ten(backbone: Backbone, seed: int) -> Callable[..., data.Loaders]:
    """Return what loads a thousand pictures of ten classes, and parts of the others to look at."""
    size = 64 if backbone is TINY else 96
    mean, std = statistics(backbone).values()
    load = partial(data.cifar10, num_train=1000, batch_size=20, size=size, seed=seed)

    def load_some(augment: bool = True) -> data.Loaders:
        loaders = load(augment=augment, mean=mean, std=std)
        return loaders._replace(val=some(loaders.val, 500), test=some(loaders.split("test"), 2000))

    return load_some


def some(loader: DataLoader, most: int) -> DataLoader:
    """Return a loader of that many pictures if there are so many, as many from each class."""
    labels = groups.labels_of(loader)
    chosen, _ = draw_per_class(labels, min(most, len(labels)), seed=0)
    return DataLoader(Subset(loader.dataset, chosen.tolist()), 100)


NOT_OF_TEN = ("normalization, batch statistics", "low rank")
TEN_STRATEGIES = [title for title in LADDER if title not in NOT_OF_TEN]


def ladder_time(seed: int) -> Iterator[Row]:
    """Time some batches of each strategy, in turns, in forward passes over as many pictures."""
    for backbone in BOTH:
        loaders = loading(backbone, seed)()
        batches: Any = [next(iter(loaders.train)) for _ in range(TIMED)]  # in place of a loader
        frozen = build(backbone.name, 2)
        networks = {strategy: build(backbone.name, 2) for strategy in STRATEGIES[1:]}
        seconds = {strategy: [] for strategy in ("forward", *networks)}
        for strategy, model in networks.items():
            models.train_only(model, strategy)
        for network in (frozen.eval(), *networks.values()):
            network.to(memory_format=torch.channels_last)
        for _ in range(TURNS):
            start = time.perf_counter()
            with torch.no_grad():
                for inputs, _ in batches:
                    frozen(inputs)
            seconds["forward"].append(time.perf_counter() - start)
            for strategy, model in networks.items():
                optimizer = AdamW(models.trainable_parameters(model), lr=1e-4)
                start = time.perf_counter()
                train_one_epoch(
                    model, batches, groups.CRITERION, optimizer, CPU, mode=fixed_statistics
                )
                seconds[strategy].append(time.perf_counter() - start)
        forward = median(seconds.pop("forward"))
        for strategy, taken in seconds.items():
            yield f"{strategy}, {backbone.title}", "passes", median(taken) / forward


def averages(seed: int) -> Iterator[Row]:
    """Find out what BatchNorm's training mode spoils: the weights, or the averages it keeps.

    Each run is an epoch or more of training mode with all of the network. Its network is then
    measured as it is, with averages of whole training pictures, and with those of the pretraining.
    """
    for backbone in BOTH:
        load = loading(backbone, seed)
        _, resnet18_lr, lite_lr, *_ = LADDER["all"]
        best = resnet18_lr if backbone is TINY else lite_lr
        for title, num_epochs, lr in (("rate 0", 1, 0.0), ("all", 6, best)):
            model, loaders, _ = fine_tune(load, backbone.name, "all", seed=seed, **WITH_BEST_HEAD)
            pretrained = {name: value.clone() for name, value in model.named_buffers()}
            optimizer = AdamW(model.parameters(), lr=lr)
            scheduler = CosineAnnealingLR(optimizer, T_max=num_epochs)
            for _ in range(num_epochs):
                train_one_epoch(model, loaders.train, groups.CRITERION, optimizer, get_device())
                scheduler.step()
            yield reported(f"{title}, averages as it is, {backbone.title}", model, loaders)
            update_bn(load(augment=False).train, model, get_device())
            yield reported(f"{title}, averages whole pictures, {backbone.title}", model, loaders)
            model.load_state_dict(pretrained, strict=False)
            yield reported(f"{title}, averages pretraining, {backbone.title}", model, loaders)


def refitted(seed: int) -> Iterator[Row]:
    """Move only the averages, as above, then fit the best head again."""
    for backbone in BOTH:
        load = loading(backbone, seed)
        options = {"mode": train_mode, "seed": seed, **WITH_BEST_HEAD}
        model, loaders, _ = fine_tune(load, backbone.name, "all", **options)
        train = extract_features(model, load(augment=False).train, get_device())
        models.head_of(model).load_state_dict(fit_logistic_regression(train, 2).state_dict())
        yield reported(f"rate 0, head again, {backbone.title}", model, loaders)


def reported(run: str, model: nn.Module, loaders: data.Loaders) -> Row:
    """Give the accuracy on the test pictures, or where there are none, on those of validation."""
    parts = model, groups.loaders_of(loaders)[-1], groups.CRITERION, get_device()
    return run, "accuracy", evaluate(*parts).accuracy


GROUPS = [
    Group(ANTS, "kinds", kinds),
    Group(ANTS, "untrained", untrained, seeds=1),
    Group(ANTS, "lite_views", lite_views),
    Group(ANTS, "labels", labels, seeds=20),
    Group(ANTS, "sizes", sizes, seeds=1),
    Group(ANTS, "shift", shift, seeds=1),
    Group(ANTS, "ladder_resnet18", partial(climb, TINY)),
    Group(ANTS, "ladder_lite0", partial(climb, IMAGENET)),
    Group(ANTS, "ladder_lite2", partial(climb, LARGER, titles=("head", "normalization", "all"))),
    Group(TEN, "ten_resnet18", partial(climb, TINY, loading=loading_ten, titles=TEN_STRATEGIES)),
    Group(TEN, "ten_lite0", partial(climb, IMAGENET, loading=loading_ten, titles=TEN_STRATEGIES)),
    Group(ANTS, "averages", averages, seeds=3),
    Group(ANTS, "refitted", refitted, seeds=3),
    Group(ANTS, "ladder_time", ladder_time, seeds=3),
]
