"""Turn the raw records of a benchmark into its tables and its figure; nothing else enters them.

A record is a run: `work`, `method`, `seed`, `threads`, `backbone`, `day`, `timed`, `lines` (an
epoch each) and `end`, as `protocol` prints them. A run beside other work, or on a machine of
another speed than the others of its work, is not `timed`: it counts for accuracies and memory only.
"""

import csv
import json
import math
from pathlib import Path
from statistics import mean, median

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from helpers.runtime import atomic_write

ROOT = Path(__file__).parents[2]
RAW = Path(__file__).with_name("raw.jsonl")
SOURCE = "the original's loops"
COLUMNS = ["", "seeds", "s to the original's accuracy", "s in all", "times sooner"]
COLUMNS += ["accuracy at the end", "peak MB"]
TITLES = {
    "frozen": "frozen ResNet-18, ants and bees",
    "frozen-lite0": "frozen Lite0, ants and bees",
    "fine-tuned": "fine-tuned ResNet-18, ants and bees",
    "fine-tuned-lite0": "fine-tuned Lite0, ants and bees",
    "frozen-lite2": "frozen Lite2, ants and bees",
    "fine-tuned-lite2": "fine-tuned Lite2, ants and bees",
    "cifar10": "frozen, CIFAR-10",
}
STYLES = {  # color, line and marker
    "this book": ("C0", "-", "o"),
    "this book, averaged": ("C3", "--", "s"),
    "this book, normalization": ("C5", "-", "s"),
    "this book, Lite0": ("C5", "--", "s"),
    "fastai, 96 px": ("C1", "--", "^"),
    "fastai, 224 px": ("C4", "-.", "v"),
    "plain PyTorch": ("C2", ":", "D"),
    SOURCE: ("C6", "-", "x"),
}
Runs = dict[str, list[dict]]  # those of each method


def read(path: Path) -> list[dict]:
    """Read the records."""
    return (
        [json.loads(line) for line in path.read_text("utf8").splitlines()] if path.exists() else []
    )


def append(path: Path, record: dict) -> None:
    """Add a record as one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) + "\n" for one in [*read(path), record]]
    with atomic_write(path) as aside:
        aside.write_text("".join(lines), "utf8")


def runs_of(records: list[dict], work: str) -> Runs:
    """Return the runs of a work by method, in the order of the records."""
    found: Runs = {}
    for record in records:
        if record["work"] == work:
            found.setdefault(record["method"], []).append(record)
    return found


def target_of(runs: Runs) -> float:
    """Return the original's final validation accuracy, the mean of its seeds; NaN without any."""
    finals = [run["lines"][-1]["val_accuracy"] for run in runs.get(SOURCE, [])]
    return mean(finals) if finals else math.nan


def seconds_to(run: dict, target: float) -> float:
    """Return when an epoch first ended at `target` or above; infinity if none did."""
    reached = (line["seconds"] for line in run["lines"] if line["val_accuracy"] >= target - 1e-9)
    return next(reached, math.inf)


def seconds_of(run: dict) -> float:
    """Return how long a run took, from the start of its preparation to its last evaluation."""
    return run["lines"][-1]["seconds"]


def timed(runs: list[dict]) -> list[dict]:
    """Return the runs that had the machine to themselves."""
    return [run for run in runs if run.get("timed", True)]


def number(value: float) -> str:
    """Write a measured value with two digits; infinity is "never"."""
    if math.isinf(value):
        return "never"
    rounded = f"{value:.1e}"
    return f"{float(rounded):.{max(0, 1 - int(rounded[4:]))}f}"


def times(values: list[float]) -> str:
    """Write the median of times, with the lowest and the highest where they differ from it."""
    low, middle, high = map(number, (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def accuracies(values: list[float]) -> str:
    """Write the mean of accuracies, with the lowest and the highest where there are several."""
    middle, low, high = (f"{100 * f(values):.1f}" for f in (mean, min, max))
    return f"{middle}\N{NO-BREAK SPACE}%" + (f" ({low}–{high})" if len(values) > 1 else "")


def reached(runs: list[dict], target: float) -> str:
    """Write when the target was reached; also how many of the seeds did, where not all."""
    seconds = [seconds_to(run, target) for run in runs]
    count = sum(map(math.isfinite, seconds))
    return times(seconds) + (f"; {count} of {len(runs)}" if count < len(runs) else "")


def times_sooner(runs: Runs, method: str, target: float) -> str:
    """Write how many times sooner than the original's loops a method has their accuracy.

    It compares medians. A seed of the original's loops that never gets there counts with all the
    time it took: with less than it would have needed.
    """
    source = median(min(seconds_to(run, target), seconds_of(run)) for run in timed(runs[SOURCE]))
    mine = median(seconds_to(run, target) for run in timed(runs[method]))
    if method == SOURCE:
        return "1.0"
    return number(source / mine) if math.isfinite(mine) else ""


def memory(runs: list[dict]) -> str:
    """Write the peak memory of all the seeds, and that of the largest loader worker."""
    own, worker = (max(run["end"][name] for run in runs) for name in ("peak_mb", "worker_peak_mb"))
    return f"{own:.0f}" + (f"; workers {worker:.0f} each" if worker else "")


def summarize(records: list[dict], work: str) -> list[list[str]]:
    """Reduce the records of a work to a row a method.

    The original's accuracy is the mean of its seeds after their last epochs. All runs, its own as
    well, are timed to their first epoch that ends there or above.
    """
    runs, rows = runs_of(records, work), []
    target = target_of(runs)
    for method, mine in runs.items():
        clocked = timed(mine)
        compared = bool(clocked and timed(runs.get(SOURCE, [])))
        some = f", {len(clocked)} timed" if len(clocked) < len(mine) else ""
        rows.append(
            [
                method,
                f"{len(mine)}{some}",
                reached(clocked, target) if compared else "",
                times([seconds_of(run) for run in clocked]) if clocked else "",
                times_sooner(runs, method, target) if compared else "",
                accuracies([run["lines"][-1]["val_accuracy"] for run in mine]),
                memory(mine),
            ]
        )
    return rows


def write(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside, aside.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def plot(records: list[dict], path: Path) -> None:
    """Draw accuracy over seconds, a panel a work and a line a method."""
    works = {work: runs for work in TITLES if (runs := runs_of(records, work))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.style.context(ROOT / "notebooks" / "matplotlibrc"):
        size = (5.2, 1.3 + 1.9 * len(works))
        fig, axes = plt.subplots(len(works), sharex=True, figsize=size, squeeze=False)
        for ax, (work, runs) in zip(axes.flat, works.items(), strict=True):
            for method, mine in runs.items():
                draw(ax, mine, method)
            ax.axhline(target_of(runs), color="gray", linewidth=1, zorder=0)
            ax.set(xscale="log", title=TITLES[work])
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        last = axes.flat[-1]
        last.set_xlabel("seconds since the start")
        last.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        last.xaxis.set_major_formatter("{x:g}")
        last.xaxis.set_minor_formatter(NullFormatter())
        fig.supylabel("validation accuracy", fontsize="medium")
        lines = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
        names = [name for name in STYLES if name in lines]
        fig.legend([lines[name] for name in names], names, loc="outside lower center", ncols=2)
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


def draw(ax: Axes, runs: list[dict], method: str) -> None:
    """Draw one method: the mean over its seeds at their median time, and their range."""
    color, line, marker = STYLES[method]
    epochs = list(zip(*(run["lines"] for run in runs), strict=False))  # as many as all have
    clocks = zip(*(run["lines"] for run in timed(runs) or runs), strict=False)
    seconds = [median(line["seconds"] for line in epoch) for epoch in clocks][: len(epochs)]
    shares = [[line["val_accuracy"] for line in epoch] for epoch in epochs]
    style = {"color": color, "linestyle": line, "marker": marker, "markersize": 4}
    ax.plot(seconds, list(map(mean, shares)), label=method, **style)
    low, high = list(map(min, shares)), list(map(max, shares))
    ax.fill_between(seconds, low, high, color=color, alpha=0.15, linewidth=0)


def report(raw: Path, out: Path) -> None:
    """Write `bench_*.csv` and `figures/bench.svg` below `out`, from the records in `raw`."""
    records = read(raw)
    for work in dict.fromkeys(record["work"] for record in records):
        write(out / f"bench_{work}.csv", COLUMNS, summarize(records, work))
    plot(records, out / "figures" / "bench.svg")
