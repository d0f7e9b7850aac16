"""Turn the raw records of a benchmark into its table and its figure; nothing else enters them.

A record is a run: `work`, `contestant`, `seed`, `threads`, `lines` (one an epoch) and `end`, as
`protocol` prints them. A record of the work "bare" holds what `bare` prints instead.
"""

import csv
import json
import math
from pathlib import Path
from statistics import mean, median

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

ROOT = Path(__file__).parent.parent.parent
SOURCE = "source's loops"
COLUMNS = [
    "",
    "seeds",
    "s to the source's accuracy",
    "s in all",
    "times sooner",
    "accuracy at the end",
    "peak MB",
    "share of the bare rate",
]
TITLES = {
    "frozen": "frozen, ants and bees",
    "fine-tuned": "fine-tuned, ants and bees",
    "cifar10": "frozen, CIFAR-10",
}
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


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
    """Return the source's final validation accuracy: its seeds' mean; None without the source."""
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


def bare_rate(records: list[dict], work: str, end: dict) -> float | None:
    """Return the machine's own rate at a run's size and batch: forward only, where it is frozen."""
    kind = "train" if work == "fine-tuned" else "forward"
    settings = end["size"], end["batch_size"]
    rates = [
        record[kind]
        for record in records
        if record["work"] == "bare" and (record["size"], record["batch_size"]) == settings
    ]
    return median(rates) if rates else None


def number(value: float | None) -> str:
    """Write a measured value with about three digits: nothing for None, "never" for infinity."""
    if value is None:
        return ""
    if math.isinf(value):
        return "never"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def with_range(values: list[float]) -> str:
    """Write a mean, and the range in brackets where there is one."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{mean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def summarize(records: list[dict], work: str) -> list[list[str]]:
    """Reduce the records of a work to a row a contestant: medians over its seeds.

    "Times sooner" compares when the source's accuracy is reached with how long the source's loops
    take in all: that is when they have it for good.
    """
    if len({record["threads"] for record in records}) > 1:
        raise ValueError("the records mix numbers of threads: keep those of one number only")
    runs, rows = runs_of(records, work), []
    target = target_of(runs)
    for contestant, mine in runs.items():
        reached, sooner = None, None
        if target is not None:
            reached = median(seconds_to(run, target) for run in mine)
            sooner = median(map(seconds_of, runs[SOURCE])) / reached or None  # of infinity: none
        bare = bare_rate(records, work, mine[0]["end"])
        rows.append(
            [
                contestant,
                str(len(mine)),
                number(reached) + how_many_reached(mine, target),
                number(median(map(seconds_of, mine))),
                number(sooner),
                with_range([run["lines"][-1]["val_accuracy"] for run in mine]),
                memory(mine),
                number(bare and median(map(rate_of, mine)) / bare),
            ]
        )
    return rows


def seconds_of(run: dict) -> float:
    """Return how long a run took, from the start of its preparation to its last evaluation."""
    return run["lines"][-1]["seconds"]


def how_many_reached(runs: list[dict], target: float | None) -> str:
    """Say how many of the seeds reached the target, where not all did."""
    reached = sum(seconds_to(run, target) < math.inf for run in runs) if target else len(runs)
    return "" if reached == len(runs) else f" ({reached} of {len(runs)})"


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
    names = list(dict.fromkeys(name for work in works for name in runs_of(records, work)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.style.context(ROOT / "notebooks" / "matplotlibrc"):
        fig, axes = plt.subplots(1, len(works), figsize=(3.4 * len(works), 3.8), squeeze=False)
        for ax, work in zip(axes.flat, works, strict=True):
            runs = runs_of(records, work)
            for contestant, mine in runs.items():
                index = names.index(contestant)
                draw(ax, mine, contestant, color=f"C{index}", linestyle=STYLES[index % 5])
            if (target := target_of(runs)) is not None:
                ax.axhline(target, color="gray", linewidth=1, zorder=0)
            ax.set(xscale="log", xlabel="seconds since the start", title=TITLES[work])
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
        axes.flat[0].set_ylabel("validation accuracy (share)")
        handles = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
        fig.legend([handles[name] for name in names], names, loc="outside lower center", ncols=3)
        fig.suptitle("Accuracy after each epoch, by the time it took: mean and range over seeds")
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


def draw(ax: plt.Axes, runs: list[dict], label: str, **style) -> None:
    """Draw one contestant: the mean over its seeds at their median time, and their range."""
    epochs = list(zip(*(run["lines"] for run in runs), strict=False))  # as many as all have
    seconds = [median(line["seconds"] for line in epoch) for epoch in epochs]
    accuracies = [[line["val_accuracy"] for line in epoch] for epoch in epochs]
    ax.plot(seconds, list(map(mean, accuracies)), marker=".", label=label, **style)
    low, high = list(map(min, accuracies)), list(map(max, accuracies))
    ax.fill_between(seconds, low, high, color=style["color"], alpha=0.15, linewidth=0)


def report(raw: Path, out: Path) -> None:
    """Write `bench_*.csv` and `figures/bench.svg` below `out`, from the records in `raw`."""
    records = read(raw)
    if not works_of(records):
        raise SystemExit(f"no run in {raw} yet")
    for work in works_of(records):
        write(out / f"bench_{work}.csv", COLUMNS, summarize(records, work))
    plot(records, out / "figures" / "bench.svg")
