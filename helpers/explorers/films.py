"""Figures that move: a rate that falls, averages that drift, a boundary that turns."""

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torch.utils.data import DataLoader, TensorDataset

from helpers.explorers.form import Film, chart
from helpers.plots import RIGHT, WRONG

SIZE = (4.6, 2.4)  # inches
NUM_EPOCHS = 25


def schedule() -> Film:
    """Show how half a cosine and steps lower a rate from epoch to epoch."""
    rates: dict[str, list[float]] = {}
    for name, make, options in (
        ("half a cosine", CosineAnnealingLR, {"T_max": NUM_EPOCHS}),
        ("steps", StepLR, {"step_size": 7, "gamma": 0.1}),
    ):
        optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler, rates[name] = make(optimizer, **options), []
        for _ in range(NUM_EPOCHS):
            rates[name].append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()

    def frame(epoch: int) -> str:
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        for (name, values), color in zip(rates.items(), (RIGHT, WRONG), strict=True):
            done = values[:epoch]
            ax.step(range(1, epoch + 1), done, where="mid", color=color, label=name)
            ax.plot(epoch, done[-1], "o", color=color)
        ax.set(xlim=(0, NUM_EPOCHS + 1), ylim=(0, 1.05))
        ax.set(xlabel="epoch", ylabel="share of the first rate")
        ax.legend(loc="upper right")
        now = ", ".join(f"{name} {values[epoch - 1]:.0%}" for name, values in rates.items())
        return chart(figure, f"Epoch {epoch}: {now} of the first rate.")

    return Film(
        "Epoch",
        {str(epoch): frame(epoch) for epoch in range(1, NUM_EPOCHS + 1, 2)},
        "<p>Half a cosine falls slowly at first, fast in the middle and slowly at the end. Steps "
        "divide the rate by ten after 7, 14 and 21 epochs.</p>",
    )


@torch.no_grad()
def drift(model: nn.Module, loader: DataLoader, device: torch.device, layer: str) -> Film:
    """Show how the running means of a BatchNorm move while batches go through it.

    Works on a copy of the model, in training mode; no weight is trained.
    """
    model = copy.deepcopy(model).to(device).train()
    norm = model.get_submodule(layer)
    start = norm.running_mean.cpu().clone()
    means = [start]
    for inputs, _ in loader:
        model(inputs.to(device))
        means.append(norm.running_mean.cpu().clone())
    order = start.argsort()
    low, high = float(torch.stack(means).min()), float(torch.stack(means).max())

    def frame(batch: int) -> str:
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        ax.plot(start[order], color="gray", label="pretrained")
        ax.plot(means[batch][order], ".", color=WRONG, markersize=3, label="now")
        ax.set(xlabel="channel, in the order of its pretrained mean", ylabel="running mean")
        ax.set_ylim(low, high)
        ax.legend(loc="upper left")
        distance = float((means[batch] - start).abs().mean())
        return chart(figure, f"After {batch} batches: {distance:.3f} away on average.")

    last = float((means[-1] - start).abs().mean())
    return Film(
        "Batches seen",
        {str(batch): frame(batch) for batch in range(len(means))},
        f"<p>After {len(means) - 1} batches the running means are {last:.3f} away from the "
        "pretrained ones on average, although no weight was trained.</p>",
    )


def boundary(features: TensorDataset, class_names: list[str], *, num_epochs: int = 15) -> Film:
    """Show the boundary of a linear head on two directions of the features, as it trains.

    features: `(N, num_features)` of two classes, as of `extract_features`.
    """
    inputs, labels = features.tensors
    centered = inputs - inputs.mean(dim=0)
    places = centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:2].T
    places = places / places.std(dim=0)
    torch.manual_seed(0)
    head = nn.Linear(2, 2)
    optimizer, criterion = SGD(head.parameters(), lr=0.3), nn.CrossEntropyLoss()

    def frame(epoch: int) -> str:
        weights, bias = head.weight[1] - head.weight[0], head.bias[1] - head.bias[0]
        figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
        for label, (name, color) in enumerate(zip(class_names, (RIGHT, WRONG), strict=True)):
            x, y = places[labels == label].T
            ax.plot(x, y, "os"[label], color=color, markersize=3, label=name)
        x = torch.tensor([-3.5, 3.5])
        ax.plot(x, -(weights[0].item() * x + bias.item()) / weights[1].item(), color="gray")
        ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xticks=[], yticks=[])
        ax.legend(loc="upper left")
        right = float((head(places).argmax(dim=1) == labels).float().mean())
        return chart(figure, f"Epoch {epoch}: {right:.1%} of the pictures on the right side.")

    frames = {"0": frame(0)}
    for epoch in range(1, num_epochs + 1):
        optimizer.zero_grad()
        criterion(head(places), labels).backward()
        optimizer.step()
        frames[str(epoch)] = frame(epoch)
    return Film(
        "Epoch",
        frames,
        "<p>The line where both classes are equally likely begins anywhere, and turns until most "
        "pictures of either class are on their own side of it.</p>",
    )
