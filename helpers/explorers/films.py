"""Figures that move: averages that drift, a boundary that turns."""

import copy
from itertools import islice
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from helpers.explorers.form import Film
from helpers.explorers.pieces import chart, percent, plane, spread
from helpers.plots import RIGHT, WRONG

SIZE = (4.6, 2.4)  # inches
MOST_BATCHES, MOST_POINTS = 20, 80


def frame(figure: Figure, text: str) -> str:
    """Return a figure under a sentence."""
    return f"<p>{text}</p>{chart(figure, text)}"


@torch.no_grad()
def drift(model: nn.Module, loader: DataLoader, device: torch.device, layer: str) -> Film:
    """Show how the running means of a BatchNorm move while batches go through it.

    Works on a copy of the model, in training mode; no weight is trained.
    """
    model = copy.deepcopy(model).to(device).train()
    norm: Any = model.get_submodule(layer)
    start, deviation = norm.running_mean.cpu().clone(), norm.running_var.sqrt().cpu()
    moved = [torch.zeros_like(start)]
    for inputs, _ in islice(loader, MOST_BATCHES):
        model(inputs.to(device))
        moved.append((norm.running_mean.cpu() - start) / deviation)
    order = moved[-1].argsort()
    drawn = order[spread(len(order), MOST_POINTS)]
    most = float(moved[-1].abs().max())

    def show(batch: int) -> str:
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        ax.axhline(0, color="gray")
        ax.plot(moved[batch][drawn], ".", color=WRONG, markersize=3)
        ax.set(xlabel="channels, sorted by where they end", ylabel="moved by (deviations)")
        ax.set(xticks=[], ylim=(-1.1 * most, 1.1 * most))
        middle = float(moved[batch].abs().median())
        return frame(figure, f"Half of the channels have moved by {middle:.2f} deviations or more.")

    last = float(moved[-1].abs().median())
    return Film(
        "Batches seen",
        {str(batch): show(batch) for batch in range(len(moved))},
        f"<p>After {len(moved) - 1} batches half of the running means have moved by {last:.2f} "
        "deviations or more, although no weight was trained.</p>",
    )


def boundary(features: TensorDataset, class_names: list[str], *, num_steps: int = 15) -> Film:
    """Show the boundary of a new linear head on two directions of the features, as it trains.

    features: `(N, num_features)`, as of `extract_features`. Only the first two classes are shown.
    Each step is one of gradient descent on all pictures.
    """
    inputs, labels = (tensor[features.tensors[1] < 2] for tensor in features.tensors)
    places = plane(inputs)
    places = places / places.std(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(2, 2)
    optimizer, criterion = SGD(head.parameters(), lr=0.3), nn.CrossEntropyLoss()
    sides: list[str] = []
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    drawn[spread(len(labels), MOST_POINTS)] = True

    def show(step: int) -> str:
        weights, bias = head.weight[1] - head.weight[0], head.bias[1] - head.bias[0]
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        for label, (name, color) in enumerate(zip(class_names[:2], (RIGHT, WRONG), strict=True)):
            points = places[drawn & (labels == label)].T
            ax.plot(*points, "os"[label], color=color, markersize=3, label=name)
        x = torch.tensor([-3.5, 3.5])
        ax.plot(x, -(weights[0].item() * x + bias.item()) / weights[1].item(), color="gray")
        ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xticks=[], yticks=[])
        ax.legend(loc="upper left")
        right = float((head(places).argmax(dim=1) == labels).float().mean())
        sides.append(percent(right))
        return frame(figure, f"{sides[-1]} of all {len(labels)} are on the right side of the line.")

    frames = {"0": show(0)}
    for step in range(1, num_steps + 1):
        optimizer.zero_grad()
        criterion(head(places), labels).backward()
        optimizer.step()
        frames[str(step)] = show(step)
    return Film(
        "Step",
        frames,
        "<p>On the line both classes are equally likely. Before training "
        f"{sides[0]} of the pictures lie on the right side of it, after {num_steps} steps "
        f"{sides[-1]}. Drawn are {int(drawn.sum())} of {len(labels)}.</p>",
    )
