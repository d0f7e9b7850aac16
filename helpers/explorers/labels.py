"""Labels: the map of the features, and what a few labeled pictures per class are worth in it."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.data import Loaders
from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import (
    PointPictures,
    headline,
    legend,
    percent,
    plane,
    spread,
    table,
    to_image,
)
from helpers.features import extract_features

COUNTS, NUM_DRAWS, NUM_POINTS = (2, 5, 10, 20), 20, 60


def labels(
    models: dict[str, nn.Module],
    train: DataLoader,
    loaders: Loaders,
    device: torch.device,
    *,
    split: str = "val",
) -> Explorer:
    """Explore how many labels per class are enough for the nearest average, by network.

    models: by what the explorer calls them. train: the training pictures without augmentation.
    """
    part, classes = loaders.split(split), loaders.class_names
    known, asked = (
        {name: extract_features(model, loader, device) for name, model in models.items()}
        for loader in (train, part)
    )
    names = list(models)
    truth = asked[names[0]].tensors[1]
    total = len(known[names[0]])
    smallest = int(torch.bincount(known[names[0]].tensors[1]).min())
    counts = {str(count): count for count in COUNTS if count < smallest} | {"all": total}
    said = {
        (name, option): [
            nearest_average(known[name], asked[name], count, seed)
            for seed in range(NUM_DRAWS if count < total else 1)
        ]
        for name in models
        for option, count in counts.items()
    }
    points = spread(len(truth), NUM_POINTS)
    images = PointPictures([to_image(part.dataset[i][0], loaders) for i in points])

    def right(name: str, option: str) -> str:
        shares = [float((each == truth).float().mean()) for each in said[name, option]]
        ends = f"{percent(min(shares))} to {percent(max(shares))}"
        of = f" on average ({ends} in {len(shares)} draws)"
        return f"{percent(sum(shares) / len(shares))}{of if len(shares) > 1 else ''}"

    def show(name: str, option: str) -> str:
        places, called = plane(asked[name].tensors[0]), said[name, option][0]
        places = places * torch.where(places[truth == 0].mean(dim=0) > 0, -1, 1)  # the first, left
        places = (places - places.amin(dim=0)) / (places.amax(dim=0) - places.amin(dim=0) + 1e-9)
        dots = ""
        for n, i in enumerate(points):
            label, other = int(truth[i]), int(called[i])
            text = f"{classes[label]}, called {classes[other]}"
            x, y = places[i].tolist()
            dots += images.point(n, x, y, text, label, marked=other != label)
        return (
            headline(f"{right(name, option)} are nearest to the average of their own class.")
            + f'{legend(classes)}<div class="map">{dots}</div>'
            f"<p>{len(points)} of {len(truth)} pictures, in the two directions in which they "
            "differ most, which are others for each network. Rings: the mistakes with one of the "
            "draws. The averages are compared in all directions.</p>"
        )

    few = list(counts)[min(1, len(counts) - 1)]
    measured = "; ".join(f"{name}, {right(name, few)}" for name in names)
    which = f"Only {few} training pictures of each class have" if few != "all" else "All have"
    return Explorer(
        question=f"{which} a label. By the features of the network “{names[0]}”, how many of "
        f"{len(truth)} other pictures are nearest to the average of their own class?",
        guesses=("about half", "two in three", "three in four", "nine in ten"),
        controls=[
            Control("The network", names),
            Control("Labeled pictures of each class", list(counts), list(counts).index(few)),
        ],
        show=show,
        answer=f"Measured: {measured}.",
        in_words=table(
            ("the network", "labels per class", "right"),
            ((name, option, right(name, option)) for name, option in said),
        ),
        shared=images.style,
    )


def nearest_average(known: TensorDataset, asked: TensorDataset, count: int, seed: int) -> Tensor:
    """Draw known pictures of each class; call each asked one by the nearest average."""
    features, classes = known.tensors
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    averages = [
        features[order[classes[order] == label][:count]].mean(dim=0)
        for label in range(int(classes.max()) + 1)
    ]
    return torch.cdist(asked.tensors[0], torch.stack(averages)).argmin(dim=1)
