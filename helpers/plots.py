"""Pictures, predictions and curves: drawn on the axes given, which come back."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from helpers.data import Loaders
from helpers.metrics import History, predict

RIGHT, WRONG = "#0072B2", "#D55E00"  # blue and vermilion, told apart by color-blind eyes too


def restore(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """Undo the normalization of a picture `(3, H, W)`: pixels `(H, W, 3)` in [0, 1]."""
    pixels = image.detach().cpu().permute(1, 2, 0).numpy()
    return np.clip(pixels * np.array(std) + np.array(mean), 0, 1)


def imshow(
    image: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show one normalized picture `(3, H, W)`, with the statistics of the loader it came from."""
    ax = plt.gca() if ax is None else ax
    ax.imshow(restore(image, mean, std))
    ax.set_axis_off()
    if title is not None:
        ax.set_title(title)
    return ax


def image_grid(num_images: int, num_columns: int) -> np.ndarray:
    """Make a figure with room for that many pictures; return as many axes."""
    num_rows = -(-num_images // num_columns)  # rounded up: the last row may be short
    _, axes = plt.subplots(
        num_rows, num_columns, figsize=(1.8 * num_columns, 2.1 * num_rows), squeeze=False
    )
    for ax in axes.flat[num_images:]:
        ax.remove()
    return axes.flat[:num_images]


def show_batch(loaders: Loaders, *, split: str = "train", num_images: int = 8) -> np.ndarray:
    """Show the first pictures of a batch under their class names; return the axes."""
    inputs, labels = next(iter(getattr(loaders, split)))
    axes = image_grid(min(num_images, len(inputs)), num_columns=4)
    for ax, image, label in zip(axes, inputs, labels, strict=False):
        imshow(image, loaders.mean, loaders.std, title=loaders.class_names[label], ax=ax)
    return axes


def visualize_model(
    model: nn.Module,
    loaders: Loaders,
    device: torch.device,
    *,
    split: str = "val",
    num_images: int = 6,
    wrong_first: bool = False,
) -> np.ndarray:
    """Show pictures under what the model says, how sure it is, and what is true.

    Takes them in the order of the split, "val" or "test"; with `wrong_first`, the most confident
    mistakes come first. Returns the axes, one a picture.
    """
    if split == "train":
        raise ValueError("training pictures differ in every pass: show split='val' or 'test'")
    loader = getattr(loaders, split)
    logits, labels = predict(model, loader, device)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    wrong = predicted != labels
    order = torch.arange(len(labels))
    if wrong_first:
        order = (confidence * wrong).argsort(descending=True, stable=True)
    shown = order[:num_images].tolist()

    axes = image_grid(len(shown), num_columns=3)
    for ax, i in zip(axes, shown, strict=True):
        said, true = loaders.class_names[predicted[i]], loaders.class_names[labels[i]]
        imshow(loader.dataset[i][0], loaders.mean, loaders.std, ax=ax)
        ax.set_title(
            f"{'✗' if wrong[i] else '✓'} {said} {confidence[i]:.0%}\ntrue: {true}",
            color=WRONG if wrong[i] else RIGHT,
        )
    return axes


def plot_history(
    history: History, axes: Sequence[Axes] | None = None, *, label: str = ""
) -> Sequence[Axes]:
    """Draw loss and accuracy by epoch: training dashed, validation solid, the best epoch marked.

    Give the axes of an earlier call, and a label each time, to compare trainings.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(8, 3))
    epochs = range(1, len(history.lr) + 1)
    best = history.best_epoch - 1
    for ax, name, unit in zip(
        axes, ("loss", "accuracy"), ("nats per picture", "share"), strict=True
    ):
        train, val = getattr(history, f"train_{name}"), getattr(history, f"val_{name}")
        (line,) = ax.plot(epochs, val, label=label or "validation")
        color = line.get_color()
        ax.plot(epochs, train, "--", color=color, alpha=0.6, label=None if label else "training")
        ax.plot(epochs[best], val[best], "o", color=color)
        ax.set(xlabel="epoch", ylabel=f"{name} ({unit})")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[1].legend()
    return axes


def plot_confusion(
    predicted: Tensor, labels: Tensor, class_names: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Draw how many pictures of each true class (rows) were called what (columns)."""
    ax = plt.gca() if ax is None else ax
    n = len(class_names)
    counts = torch.bincount(labels * n + predicted, minlength=n * n).reshape(n, n)
    ax.imshow(counts.numpy(), cmap="Blues")
    ax.grid(visible=False)
    for row in range(n):
        for column in range(n):
            dark = counts[row, column] > counts.max() / 2
            ax.text(
                column,
                row,
                counts[row, column].item(),
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
    ax.set_xticks(range(n), class_names, rotation=45 if n > 4 else 0)
    ax.set_yticks(range(n), class_names)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.spines[:].set_visible(False)
    return ax
