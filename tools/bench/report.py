"""Turn the raw records of a benchmark into its tables and its figure; nothing else enters them.

A record is a run: `work`, `contestant`, `seed`, `threads`, `backbone`, `day`, `timed`, `lines` (an
epoch each) and `end`, as `protocol` prints them. A run beside other work, or on a machine of
another speed than the others of its work, is not `timed`: it counts for accuracies and memory, and
not for times. `day` may name a part of one, where the machine changed. A record of the work "bare"
has a `day`, a `size` and a `batch_size`, and holds what `bare` prints instead.
"""

import csv
import json
import math
import sys
from pathlib import Path
from statistics import mean, median

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

ROOT = Path(__file__).parent.parent.parent
RAW = Path(__file__).parent / "raw.jsonl"
SOURCE = "the original's loops"
COLUMNS = [
    "",
    "seeds",
    "s to the original's accuracy",
    "s in all",
    "times sooner",
    "accuracy at the end",
    "peak MB",
    "share of the bare rate",
]
TITLES = {
    "frozen": "frozen ResNet-18, ants and bees",
    "frozen-lite0": "frozen Lite0, ants and bees",
    "fine-tuned": "fine-tuned ResNet-18, ants and bees",
    "fine-tuned-lite0": "fine-tuned Lite0, ants and bees",
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


def read(path: Path) -> list[dict]:
    """Read the records; a last line that was only half written doesn't count."""
    lines = path.read_text("utf8").splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    return [json.loads(line) for line in lines]


def append(path: Path, record: dict) -> None:
    """Add a record as one line, in place of a half-written last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(json.dumps(record).encode() + b"\n")


def runs_of(records: list[dict], work: str) -> dict[str, list[dict]]:
    """Return the runs of a work by contestant, in the order of the records."""
    found: dict[str, list[dict]] = {}
    for record in records:
        if record["work"] == work:
            found.setdefault(record["contestant"], []).append(record)
    return found


def works_of(records: list[dict]) -> list[str]:
    """Return the works there are runs of."""
    return [work for work in TITLES if runs_of(records, work)]


def target_of(runs: dict[str, list[dict]]) -> float | None:
    """Return the original's final validation accuracy, the mean of its seeds; None without any."""
    if SOURCE not in runs:
        return None
    return mean(run["lines"][-1]["val_accuracy"] for run in runs[SOURCE])


def seconds_to(run: dict, target: float) -> float:
    """Return when an epoch first ended at `target` or above; infinity if none did."""
    reached = (line["seconds"] for line in run["lines"] if line["val_accuracy"] >= target - 1e-9)
    return next(reached, math.inf)


def rate_of(run: dict) -> float:
    """Return pictures a second: all trained on, over preparation and training without evaluation.

    A picture whose features are kept counts in every epoch, as one that is computed anew does.
    """
    seconds = run["end"]["setup_seconds"] + sum(line["train_seconds"] for line in run["lines"])
    return sum(line["pictures"] for line in run["lines"]) / seconds


def bare_rate(records: list[dict], run: dict) -> float | None:
    """Return the machine's own rate with a run's backbone, size and batch, on the day of the run.

    Forward only, where the backbone is frozen.
    """
    kind = "train" if run["work"].startswith("fine-tuned") else "forward"
    settings = run["day"], run["backbone"], run["end"]["size"], run["end"]["batch_size"]
    rates = [
        record[kind]
        for record in records
        if record["work"] == "bare"
        and tuple(record[key] for key in ("day", "backbone", "size", "batch_size")) == settings
    ]
    return median(rates) if rates else None


def number(value: float | None) -> str:
    """Write a measured value with two digits: nothing for None, "never" for infinity."""
    if value is None:
        return ""
    if math.isinf(value):
        return "never"
    rounded = f"{value:.1e}"
    return f"{float(rounded):.{max(0, 1 - int(rounded[4:]))}f}"


def timed(runs: list[dict]) -> list[dict]:
    """Return the runs that had the machine to themselves."""
    return [run for run in runs if run.get("timed", True)]


def seeds(runs: list[dict]) -> str:
    """Write the number of seeds, and how many were timed, where not all."""
    count = len(timed(runs))
    return f"{len(runs)}" + (f", {count} timed" if count < len(runs) else "")


def times(values: list[float]) -> str:
    """Write the median of times, with the lowest and the highest where they differ from it."""
    if not values:
        return ""
    low, middle, high = map(number, (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def accuracies(values: list[float]) -> str:
    """Write the mean of accuracies, with the lowest and the highest where there are several."""
    middle, low, high = (f"{100 * f(values):.1f}" for f in (mean, min, max))
    return f"{middle}\N{NO-BREAK SPACE}%" + (f" ({low}–{high})" if len(values) > 1 else "")


def summarize(records: list[dict], work: str) -> list[list[str]]:
    """Reduce the records of a work to a row a contestant.

    The original's accuracy is the mean of its seeds after their last epochs. All runs, its own as
    well, are timed to their first epoch that ends there or above; "times sooner" compares the
    medians. A seed of the original's loops that never gets there counts for that with all the time
    it took: with less than it would have needed.
    """
    if len({record["threads"] for record in records}) > 1:
        raise ValueError("the records mix numbers of threads: keep those of one number only")
    runs, rows = runs_of(records, work), []
    target = target_of(runs)
    for contestant, mine in runs.items():
        bare = bare_rate(records, mine[0])
        rows.append(
            [
                contestant,
                seeds(mine),
                reached(timed(mine), target),
                times(list(map(seconds_of, timed(mine)))),
                number(times_sooner(runs, contestant, target)),
                accuracies([run["lines"][-1]["val_accuracy"] for run in mine]),
                memory(mine),
                number(share_of(timed(mine), bare)),
            ]
        )
    return rows


def share_of(runs: list[dict], bare: float | None) -> float | None:
    """Return the runs' median rate as a share of the bare one, if both were measured."""
    return median(map(rate_of, runs)) / bare if runs and bare else None


def times_sooner(
    runs: dict[str, list[dict]], contestant: str, target: float | None
) -> float | None:
    """Return how many times sooner than the original's loops a contestant has their accuracy."""
    if target is None:
        return None
    sources, mine = timed(runs[SOURCE]), timed(runs[contestant])
    if not sources or not mine:
        return None
    source = median(min(seconds_to(run, target), seconds_of(run)) for run in sources)
    mine = median(seconds_to(run, target) for run in mine)
    return 1.0 if contestant == SOURCE else source / mine or None  # of infinity: none


def seconds_of(run: dict) -> float:
    """Return how long a run took, from the start of its preparation to its last evaluation."""
    return run["lines"][-1]["seconds"]


def reached(runs: list[dict], target: float | None) -> str:
    """Write when the target was reached; also how many of the seeds did, where not all."""
    if target is None or not runs:
        return ""
    seconds = [seconds_to(run, target) for run in runs]
    count = sum(map(math.isfinite, seconds))
    return times(seconds) + (f"; {count} of {len(runs)}" if count < len(runs) else "")


def memory(runs: list[dict]) -> str:
    """Write the peak memory of all the seeds, and that of the largest loader worker."""
    own, worker = (max(run["end"][name] for run in runs) for name in ("peak_mb", "worker_peak_mb"))
    return f"{own:.0f}" + (f"; workers {worker:.0f} each" if worker else "")


def write(path: Path, columns: list[str], rows: list[list]) -> None:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def plot(records: list[dict], path: Path) -> None:
    """Draw accuracy over seconds, a panel a work and a line a contestant."""
    works = works_of(records)
    found = [runs_of(records, work) for work in works]
    names = [name for name in STYLES if any(name in runs for runs in found)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.style.context(ROOT / "notebooks" / "matplotlibrc"):
        size = (5.2, 1.3 + 1.9 * len(works))
        fig, axes = plt.subplots(len(works), sharex=True, figsize=size, squeeze=False)
        for ax, work, runs in zip(axes.flat, works, found, strict=True):
            for contestant, mine in runs.items():
                draw(ax, mine, contestant)
            if (target := target_of(runs)) is not None:
                ax.axhline(target, color="gray", linewidth=1, zorder=0)
            ax.set(xscale="log", title=TITLES[work])
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlabel("seconds since the start")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        fig.supylabel("validation accuracy", fontsize="medium")
        handles = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
        fig.legend([handles[name] for name in names], names, loc="outside lower center", ncols=2)
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


def draw(ax: plt.Axes, runs: list[dict], contestant: str) -> None:
    """Draw one contestant: the mean over its seeds at their median time, and their range."""
    color, line, marker = STYLES[contestant]
    epochs = list(zip(*(run["lines"] for run in runs), strict=False))  # as many as all have
    clocks = zip(*(run["lines"] for run in timed(runs) or runs), strict=False)
    seconds = [median(line["seconds"] for line in epoch) for epoch in clocks][: len(epochs)]
    shares = [[line["val_accuracy"] for line in epoch] for epoch in epochs]
    options = {"color": color, "linestyle": line, "marker": marker, "markersize": 4}
    ax.plot(seconds, list(map(mean, shares)), label=contestant, **options)
    low, high = list(map(min, shares)), list(map(max, shares))
    ax.fill_between(seconds, low, high, color=color, alpha=0.15, linewidth=0)


def warn_of_days(records: list[dict]) -> None:
    """Say which works were not measured on one day: the machine may have been another."""
    for work in works_of(records):
        days = {record["day"] for record in timed(records) if record["work"] == work}
        if len(days) > 1:
            print(f"{work} was measured on {len(days)} days: {sorted(days)}", file=sys.stderr)


def report(raw: Path, out: Path) -> None:
    """Write `bench_*.csv` and `figures/bench.svg` below `out`, from the records in `raw`."""
    records = read(raw)
    if not works_of(records):
        raise SystemExit(f"no run in {raw} yet")
    warn_of_days(records)
    for work in works_of(records):
        write(out / f"bench_{work}.csv", COLUMNS, summarize(records, work))
    plot(records, out / "figures" / "bench.svg")
