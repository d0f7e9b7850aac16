"""Measure how time and memory grow with the number of pictures.

    python -m tools.bench.growth

Pictures are random, 3 × 32 × 32 and uint8. *Frozen* asks the backbone for the features of all of
them once, keeps them on disk, and trains a head for five epochs; *fine-tuned* trains all of the
network for one. Each
number of pictures is a process of its own. Writes `book/growth.csv` and `book/figures/growth.svg`,
with the line seconds = a + b · pictures that fits best, each relative error weighing alike.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tools.bench.protocol import peak_mb, set_threads
from tools.bench.report import ROOT, number, write

COUNTS = (100, 1000, 10_000, 50_000)
MOST_TUNED = 10_000  # on a CPU, more takes many minutes
METHODS = ("frozen", "fine-tuned")
COLUMNS = ["method", "pictures", "seconds", "peak MB", "fitted seconds"]
BATCH_SIZE, HEAD_EPOCHS = 100, 5


def measure(method: str, count: int, folder: Path) -> dict:
    """Train once on `count` random pictures, in this process; return seconds and megabytes.

    Features are kept in `folder`.
    """
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Subset
    from torchvision.transforms import v2

    from helpers import assets, data
    from helpers.features import cached_features
    from helpers.models import resnet18, trainable_parameters
    from helpers.pictures.dataset import Pictures
    from helpers.training import fit, train_one_epoch

    torch.manual_seed(0)
    cpu, criterion, classes = torch.device("cpu"), nn.CrossEntropyLoss(), assets.CIFAR10_CLASSES
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(len(classes), (count,))

    start = time.perf_counter()
    pictures = Pictures(images, labels.tolist(), v2.Identity(), data.normalize())
    options = {"class_names": list(classes), "batch_size": BATCH_SIZE, "seed": 0}
    loader = data.make_loaders(pictures, pictures, None, **options).train
    weights = assets.backbone("rendered").path
    model = resnet18(len(classes), weights=weights, freeze=method == "frozen")
    optimizer = torch.optim.Adam(trainable_parameters(model), lr=1e-3)
    if method == "frozen":
        features = cached_features(model, loader, cpu, folder=folder)
        heads = data.make_loaders(features, features, None, **options)
        few = DataLoader(Subset(features, range(min(count, BATCH_SIZE))), BATCH_SIZE)
        options = {"num_epochs": HEAD_EPOCHS, "verbose": False}
        fit(model.fc, heads.train, few, criterion, optimizer, cpu, **options)
    else:
        train_one_epoch(model, loader, criterion, optimizer, cpu)
    seconds = time.perf_counter() - start
    return {"method": method, "pictures": count, "seconds": seconds, "peak_mb": peak_mb()}


def measure_apart(method: str, count: int, threads: int) -> dict:
    """Measure in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tools.bench.growth",
        "--one",
        method,
        str(count),
        "--threads",
        str(threads),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def fit_line(counts: list[int], seconds: list[float]) -> tuple[float, float]:
    """Return a and b of seconds = a + b · pictures with the least squares of relative errors."""
    slope, offset = np.polyfit(counts, seconds, 1, w=1 / np.array(seconds))
    return float(offset), float(slope)


def with_fits(found: list[dict]) -> tuple[list[list[str]], dict[str, tuple[float, float]]]:
    """Return the table's rows, and a and b of each method."""
    rows, fits = [], {}
    for method in dict.fromkeys(one["method"] for one in found):
        mine = [one for one in found if one["method"] == method]
        counts, seconds = ([one[name] for one in mine] for name in ("pictures", "seconds"))
        a, b = fits[method] = fit_line(counts, seconds)
        rows += [
            [
                method,
                str(one["pictures"]),
                number(one["seconds"]),
                f"{one['peak_mb']:.0f}",
                number(a + b * one["pictures"]),
            ]
            for one in mine
        ]
    return rows, fits


def plot(found: list[dict], fits: dict[str, tuple[float, float]], path: Path) -> None:
    """Draw seconds and megabytes over the number of pictures, and the fitted lines."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.style.context(ROOT / "notebooks" / "matplotlibrc"):
        fig, axes = plt.subplots(2, sharex=True, figsize=(5.2, 5))
        for (method, (a, b)), marker, color in zip(fits.items(), "os", ("C0", "C1"), strict=False):
            mine = [one for one in found if one["method"] == method]
            counts = [one["pictures"] for one in mine]
            seconds, megabytes = ([one[name] for one in mine] for name in ("seconds", "peak_mb"))
            label = f"{method}: {a:.2g} s + {1000 * b:.2g} ms a picture"
            axes[0].plot(counts, seconds, marker, color=color, clip_on=False)
            many = np.geomspace(min(counts), max(counts), 100)
            axes[0].plot(many, a + b * many, color=color, label=label)
            axes[1].plot(counts, megabytes, marker + "-", color=color, label=method, clip_on=False)
        for ax, unit in zip(axes, ("seconds", "peak memory (MB)"), strict=True):
            ax.set(xscale="log", ylabel=unit)
            ax.legend(loc="lower right")
        axes[0].set(yscale="log", ylim=(0.02, None))  # with room for the legend
        axes[1].set(xlabel="pictures", ylim=(0, None))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[1].xaxis.set_major_formatter("{x:,g}")
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


def main() -> None:
    """Measure every method with every number of pictures; write the table and the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--all", action="store_true", help="fine-tune with all numbers, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "book", help="where to write")
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "COUNT"), help="only print this one")
    args = parser.parse_args()
    if args.one:
        set_threads(args.threads)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(args.one[0], int(args.one[1]), Path(folder))))
        return

    found = []
    for method in METHODS:
        for count in args.counts:
            if method == "frozen" or count <= MOST_TUNED or args.all:
                found.append(measure_apart(method, count, args.threads))
                print(*found[-1].values(), flush=True)
    rows, fits = with_fits(found)
    write(args.out / "growth.csv", COLUMNS, rows)
    plot(found, fits, args.out / "figures" / "growth.svg")


if __name__ == "__main__":
    main()
