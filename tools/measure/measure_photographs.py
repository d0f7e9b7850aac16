"""Measure the book's trainings on the real photographs of ants and bees.

    make data
    python tools/measure/measure_photographs.py --seeds 5

trains a frozen, a fine-tuned and a scratch-trained ResNet-18 as chapters 4 and 5 do. It writes what
the page `book/photographs.md` shows: `book/photographs_runs.csv` (a row a training), its summary
`book/photographs.csv`, and `book/figures/photographs.svg` (accuracy by epoch). No photograph goes
into any of them.
"""

import argparse
import csv
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers import assets, data
from helpers.features import extract_features
from helpers.metrics import History
from helpers.models import resnet18
from helpers.recipe import train_network
from helpers.runtime import get_device

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
RUN_COLUMNS = [
    "method",
    "seed",
    "best epoch: accuracy",
    "best epoch",
    "last epoch: accuracy",
    "seconds",
]
SUMMARY_COLUMNS = ["method", "best epoch", "last epoch", "seconds"]
METHODS = {
    "frozen": {"freeze": True},
    "fine-tuned": {},
    "from scratch": {"weights": None},
}


def train(method: str, seed: int, **options) -> tuple[nn.Module, data.Loaders, History]:
    """Train on ants and bees as chapters 4 and 5 do."""
    load = partial(data.ants_bees, size=assets.input_size(), seed=seed)
    return train_network(load, seed=seed, **METHODS[method], **options)


def logistic_regression() -> float:
    """Fit scikit-learn's classifier to the frozen backbone's features; return its accuracy."""
    loaders = data.ants_bees(size=assets.input_size(), augment=False)
    backbone = resnet18(len(loaders.class_names)).to(get_device())
    x, y = extract_features(backbone, loaders.train, get_device()).tensors
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    classifier.fit(x.numpy(), y.numpy())
    x, y = extract_features(backbone, loaders.val, get_device()).tensors
    return classifier.score(x.numpy(), y.numpy())


def summarize(rows: list[list]) -> list[list]:
    """Reduce the runs to a row a method: mean, and range over the seeds in brackets."""
    summary = []
    for method in dict.fromkeys(row[0] for row in rows):
        runs = [row for row in rows if row[0] == method]
        best, last = (np.array([float(row[i]) for row in runs]) for i in (2, 4))
        seconds = f"{np.median([float(row[5]) for row in runs]):.0f}" if runs[0][5] else ""
        summary.append(
            [
                method,
                *(
                    f"{a.mean():.3f} ({a.min():.3f}–{a.max():.3f})" if len(a) > 1 else f"{a[0]:.3f}"
                    for a in (best, last)
                ),
                seconds,
            ]
        )
    return summary


def write(path: Path, columns: list[str], rows: list[list]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def plot(histories: dict[str, list[History]], path: Path) -> None:
    """Draw the mean validation accuracy of each method over its seeds, and their range."""
    plt.style.use(ROOT / "notebooks" / "matplotlibrc")
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    for method, style in zip(histories, ("-", "--", ":"), strict=True):
        accuracy = np.array([history.val_accuracy for history in histories[method]])
        epochs = range(1, accuracy.shape[1] + 1)
        (line,) = ax.plot(epochs, accuracy.mean(axis=0), style, label=method)
        ax.fill_between(epochs, accuracy.min(0), accuracy.max(0), color=line.get_color(), alpha=0.2)
    ax.set(xlabel="epoch", ylabel="validation accuracy", title="Mean and range over the seeds")
    ax.legend()
    fig.savefig(path, metadata={"Date": None})


def main() -> None:
    """Train every method with every seed; write the table and the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=BOOK, help="where to write (default: book)")
    args = parser.parse_args()
    if assets.ants_bees("photos").edition != "photos":
        raise SystemExit("no photographs of ants and bees: bring them with `make data`")

    histories: dict[str, list[History]] = {method: [] for method in METHODS}
    accuracy = f"{logistic_regression():.4f}"
    rows = [["logistic regression (scikit-learn)", "", accuracy, "", accuracy, ""]]
    print(*rows[0], flush=True)
    for seed in range(args.seeds):
        for method in METHODS:
            start = time.perf_counter()
            _, _, history = train(method, seed)
            histories[method].append(history)
            best, last = max(history.val_accuracy), history.val_accuracy[-1]
            seconds = time.perf_counter() - start
            rows.append(
                [method, seed, f"{best:.4f}", history.best_epoch, f"{last:.4f}", f"{seconds:.0f}"]
            )
            print(*rows[-1], flush=True)

    (args.out / "figures").mkdir(exist_ok=True)
    write(args.out / "photographs_runs.csv", RUN_COLUMNS, rows)
    write(args.out / "photographs.csv", SUMMARY_COLUMNS, summarize(rows))
    plot(histories, args.out / "figures" / "photographs.svg")


if __name__ == "__main__":
    main()
