"""Labels: the map of the features, and what a few labeled pictures of a class are worth in it."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers.data import Loaders
from helpers.explorers.form import Explorer, PointPictures, table
from helpers.features import extract_features

COUNTS, NUM_DRAWS, NUM_POINTS = (2, 5, 10, 20), 20, 60


def labels(
    models: dict[str, nn.Module], train: DataLoader, loaders: Loaders, device: torch.device,
    *, split: str = "val",
) -> Explorer:  # fmt: skip
    """Explore how many labels a class are enough for the nearest average, by network.

    models: by what the explorer calls them. train: the training pictures without augmentation.
    """
    part, names = loaders.part(split), loaders.class_names
    known, asked = (
        {name: extract_features(model, loader, device) for name, model in models.items()}
        for loader in (train, part)
    )
    first, last = list(models)[0], list(models)[-1]  # noqa: RUF015
    truth = asked[first].tensors[1]
    most = int(torch.bincount(known[first].tensors[1]).min())
    counts = {str(count): count for count in COUNTS if count < most} | {f"all {most}": most}
    said = {
        (name, option): [
            nearest_average(*known[name].tensors, asked[name].tensors[0], count, seed)
            for seed in range(NUM_DRAWS if count < most else 1)
        ]
        for name in models
        for option, count in counts.items()
    }
    points = torch.linspace(0, len(truth) - 1, min(NUM_POINTS, len(truth))).round().long().tolist()
    images = PointPictures([part.dataset[i][0] for i in points], loaders)

    def right(name: str, option: str) -> str:
        shares = [float((each == truth).float().mean()) for each in said[name, option]]
        spread = f" ({min(shares):.1%}–{max(shares):.1%}, {len(shares)} draws)"
        return f"{sum(shares) / len(shares):.1%}{spread if len(shares) > 1 else ''}"

    def show(name: str, option: str) -> str:
        x, y = plane(asked[name].tensors[0])
        called = said[name, option][0]
        dots = "".join(
            images.point(
                n, x[i], y[i], f"{names[truth[i]]}, called {names[called[i]]}",
                f"class-{truth[i]}{'' if called[i] == truth[i] else ' wrong'}",
            )
            for n, i in enumerate(points)
        )  # fmt: skip
        text = f"{right(name, option)} of the pictures are nearest to the average of their class."
        return f'<p><b>{text}</b></p><div class="map">{dots}</div>'

    few = list(counts)[min(1, len(counts) - 1)]
    rows = ((name, option, right(name, option)) for name, option in said)
    return Explorer(
        f"Only {few} pictures of each class have labels. How many of the others are nearest to the "
        f"average of their own class, {first}?",
        ("about half", "two in three", "three in four", "nine in ten"),
        {"The network": tuple(models), "Labeled pictures of each class": tuple(counts)},
        show,
        answer=f"Measured {first}: {right(first, few)}. Measured {last}: {right(last, few)}.",
        in_words=table(("the network", "labels of a class", "right"), rows),
        shared=images.style,
    )


def nearest_average(
    features: Tensor, classes: Tensor, asked: Tensor, count: int, seed: int
) -> Tensor:
    """Draw labeled pictures of each class; call each asked one by the nearest average."""
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    averages = [
        features[order[classes[order] == label][:count]].mean(dim=0)
        for label in range(int(classes.max()) + 1)
    ]
    return torch.cdist(asked, torch.stack(averages)).argmin(dim=1)


def plane(features: Tensor) -> tuple[list[float], list[float]]:
    """Return each picture's place along the two directions of most variance, from 0 to 1."""
    centered = features - features.mean(dim=0)
    places = centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:2].T
    low, high = places.amin(dim=0), places.amax(dim=0)
    x, y = ((places - low) / (high - low)).T.tolist()
    return x, y
