"""Pictures, predictions and curves, drawn on the axes given; looking changes no training."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from torch import Tensor, nn

from helpers.data import Loaders
from helpers.metrics import History
from helpers.models import eval_mode
from helpers.runtime import preserve_rng_state

PerChannel = Sequence[float]  # one number for each color channel
WIDTH = 5  # inches: no figure is wider, so that on a phone its letters are still legible
# Blue, vermilion and gray that are legible on a white page and on a dark one (contrast 4 and more).
RIGHT, WRONG, NEUTRAL = "#1f82bf", "#cf5c00", "#7a7f87"


def imshow(
    image: Tensor, mean: PerChannel, std: PerChannel, *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Show one normalized picture `(3, H, W)`, with the statistics of the loader it came from."""
    ax = plt.gca() if ax is None else ax
    pixels = restore(image, mean, std)
    ax.imshow(pixels, interpolation="none" if len(pixels) < 128 else "antialiased")
    ax.set_axis_off()
    ax.set_title(title, parse_math=False)
    return ax


def restore(image: Tensor, mean: PerChannel, std: PerChannel) -> np.ndarray:
    """Undo the normalization of `(3, H, W)` or, gray, `(1, H, W)`: pixels `(H, W, 3)` in [0, 1]."""
    pixels = image.detach().cpu().expand(3, -1, -1).permute(1, 2, 0).numpy()
    return np.clip(pixels * np.array(std) + np.array(mean), 0, 1)


def image_grid(num_images: int, num_columns: int) -> np.ndarray:
    """Make a transparent figure with room for that many pictures; return as many axes."""
    if num_images < 1:
        raise ValueError("no picture to show: is the split empty, or num_images below 1?")
    num_rows = -(-num_images // num_columns)  # rounded up: the last row may be short
    figure = plt.figure(facecolor="none", layout="none")
    axes = [figure.add_subplot(num_rows, num_columns, i + 1) for i in range(num_images)]
    plt.setp([ax.title for ax in axes], text=" ", color=NEUTRAL)
    return fit_titles(np.array(axes))


def fit_titles(axes: np.ndarray) -> np.ndarray:
    """Break the titles of a grid that are wider than a picture; give each row room for them."""
    figure, grid = axes[0].figure, axes[0].get_subplotspec().get_gridspec()
    side = min(WIDTH / grid.ncols, 2.5)  # inches from one picture to the next
    titles = [ax.title for ax in axes]
    for title in titles:
        lines = title.get_text().splitlines()
        width = max(map(len, lines), default=0)
        while title.get_window_extent().width > 0.95 * side * figure.dpi and width > 1:
            width -= 1
            title.set_text("\n".join(textwrap.fill(ln.replace("_", " "), width) for ln in lines))
    room = max(title.get_window_extent().height for title in titles) / figure.dpi + 0.15
    height = grid.nrows * (side + room)
    figure.set_size_inches(side * grid.ncols, height)
    figure.subplots_adjust(0, 0, 1, 1 - room / height, wspace=0.08, hspace=room / side)
    return axes


def show_batch(loaders: Loaders, *, split: str = "train", num_images: int = 8) -> np.ndarray:
    """Show the first pictures of the next batch, as a model would see them; return the axes."""
    loader = loaders.split(split)
    with preserve_rng_state(loader):
        inputs, labels = next(iter(loader))
    axes = image_grid(min(num_images, len(inputs)), num_columns=4)
    for ax, image, label in zip(axes, inputs, labels, strict=False):
        imshow(image, loaders.mean, loaders.std, title=loaders.class_names[label], ax=ax)
    return fit_titles(axes)


@torch.no_grad()
def visualize_model(
    model: nn.Module,
    loaders: Loaders,
    device: torch.device,
    *,
    split: str = "val",
    num_images: int = 6,
    wrong_first: bool = False,
) -> np.ndarray:
    """Show pictures, titled with what the model says, how sure it is, and what is true.

    With `wrong_first`, the most confident mistakes come first. Returns the axes, one a picture.
    """
    loader, shown = loaders.split(split), []
    with preserve_rng_state(loader), eval_mode(model):
        for inputs, labels in loader:
            confidence, predicted = model(inputs.to(device)).softmax(dim=1).max(dim=1)
            shown += zip(inputs, labels, predicted.cpu(), confidence.cpu(), strict=True)
            if wrong_first:  # a stable sort: of equally confident ones, the first stays first
                shown.sort(key=lambda seen: seen[3] if seen[1] != seen[2] else 0, reverse=True)
            del shown[num_images:]
            if len(shown) == num_images and not wrong_first:
                break
    axes = image_grid(len(shown), num_columns=3)
    for ax, (image, label, guess, confidence) in zip(axes, shown, strict=True):
        mark, color = ("✓", RIGHT) if guess == label else ("✗", WRONG)
        said, true = loaders.class_names[guess], loaders.class_names[label]
        what = f"{mark} {said} {100 * confidence:.0f} %\ntrue: {true}"
        imshow(image, loaders.mean, loaders.std, title=what, ax=ax).title.set_color(color)
    return fit_titles(axes)


def plot_history(
    history: History, axes: Sequence[Axes] | None = None, *, label: str = ""
) -> Sequence[Axes]:
    """Draw loss and accuracy by epoch: training dashed, validation solid, the best epoch marked.

    Give the axes of an earlier call, and a label each time, to compare training runs.
    """
    new = {"sharex": True, "figsize": (WIDTH, 4.4), "layout": "constrained"}
    axes = tuple(plt.subplots(2, **new)[1]) if axes is None else axes
    epochs, best = range(1, len(history.lr) + 1), history.best_epoch - 1
    for ax, name in zip(axes, ("loss", "accuracy"), strict=True):
        train, val = getattr(history, f"train_{name}"), getattr(history, f"val_{name}")
        (line,) = ax.plot(epochs, val, label=label or None)
        ax.plot(epochs, train, "--", color=line.get_color(), alpha=0.7)
        ax.plot(epochs[best], val[best], "o", color=line.get_color())
        ax.locator_params(axis="x", integer=True)
        ax.set_ylabel("loss (nats)" if name == "loss" else name)
    ax = axes[1]
    ax.set_xlabel("epoch")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    # Below the axes: which color is which run, three a row, then what lines and dots mean.
    styles = ("validation", "-", ""), ("training", "--", ""), ("best epoch (kept)", "", "o")
    keys = [Line2D([], [], color="gray", label=key, ls=ls, marker=m) for key, ls, m in styles]
    runs = ax.get_legend_handles_labels()[0]
    rows = [*runs, *[Line2D([], [], ls="", label=" ")] * (-len(runs) % 3), *keys]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 3.4}
    ax.legend(handles=rows[::3] + rows[1::3] + rows[2::3], ncols=3, columnspacing=1.2, **place)
    return axes


def plot_confusion(
    predicted: Tensor, labels: Tensor, class_names: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Draw how many of each true class (rows) were called what (columns); labels `(N,)`, int64."""
    ax = plt.gca() if ax is None else ax
    n = len(class_names)
    counts = torch.bincount(labels * n + predicted, minlength=n * n).reshape(n, n).numpy()
    ax.imshow(counts, cmap="Blues", vmin=0)
    figure = ax.figure.get_figure(root=True)
    cell = 72 * min(ax.bbox.width, ax.bbox.height) / figure.dpi / n  # points
    figure.set_size_inches(*(figure.get_size_inches() * max(1, 16 / cell)))
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if count > 0.7 * counts.max() else "black"
        size = min(10, max(16, cell) * min(0.5, 1.4 / len(str(count))))
        ax.text(column, row, str(count), ha="center", va="center", color=color, fontsize=size)
    ax.set_yticks(range(n), class_names, parse_math=False)
    ax.set_xticks(range(n), class_names, parse_math=False)
    if 6 * max(map(len, class_names)) > cell:  # letters are about six points wide
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax
