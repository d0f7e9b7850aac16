"""What the book has measured, a point a seed: labels by backbone, and strategies by backbone."""

import csv
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, headline, percent, table
from helpers.plots import RIGHT

FILE = Path(__file__).with_suffix(".csv")  # by tools/measure/write_tables.py
KINDS = {
    ("ants and bees", "rendered"): "rendered",
    ("ants and bees", "photos"): "photographs",
    ("ten classes", "photos"): "CIFAR-10",
}
MEASURES = {  # of strategies, of labels
    "rendered": ("test accuracy", "test accuracy"),
    "photographs": ("last validation accuracy", "validation accuracy"),
    "CIFAR-10": ("test accuracy", ""),
}
Rows = dict[tuple[str, str, str], list[float]]  # the pictures, the option and the row: its seeds


def labels() -> Explorer:
    """Explore how many labels per class are enough, with three backbones."""
    counts = sorted(read("labels").items(), key=lambda row: float(row[0][1].replace("all", "inf")))
    rows = dict(counts)
    many, one = (rows["photographs", *row] for row in (("all", "ResNet-18"), ("1", "Lite2")))
    return made(
        rows,
        "Labeled pictures per class",
        question="On photographs, which head is better on average: one on Lite2 that has learned "
        "from one picture per class, or one on ResNet-18 that has learned from all 244?",
        guesses=("Lite2, one per class", "ResNet-18, all 244", "they are within a point"),
        answer=f"On Lite2, with one picture per class: {told(one)}. On ResNet-18, with all 244: "
        f"{told(many)}. Look how far the draws lie apart.",
    )


def strategies() -> Explorer:
    """Explore what each strategy gave, with each backbone and kind of pictures."""
    rows = read("strategies")
    photos, renders = "photographs", "rendered"
    gains = [
        mean(rows[pictures, backbone, "all"]) - mean(rows[pictures, backbone, "head"])
        for pictures, backbone in ((renders, "ResNet-18"), (photos, "Lite2"))
    ]
    return made(
        rows,
        "Backbone",
        question="Where does it gain most to train all of the network, beyond its best head?",
        guesses=("ResNet-18 on renders", "Lite2 on photographs", "nowhere: within a point"),
        answer=f"Points gained over the head: {100 * gains[0]:+.1f} with ResNet-18 on renders, "
        f"{100 * gains[1]:+.1f} with Lite2 on photographs.",
    )


def made(rows: Rows, title: str, **said: str | tuple[str, ...]) -> Explorer:
    """Make an explorer of stored rows: choose the pictures and an option, see its rows."""
    pictures, options, _ = (list(dict.fromkeys(column)) for column in zip(*rows, strict=True))

    def show(kind: str, option: str) -> str:
        mine = {row: found for (k, o, row), found in rows.items() if (k, o) == (kind, option)}
        if not mine:
            return headline("We did not measure this.")
        best = max(mine, key=lambda row: mean(mine[row]))
        text = f"Highest on average: {best}, {told(mine[best])}."
        figure, ax = plt.subplots(figsize=(4.6, 0.9 + 0.3 * len(mine)), layout="constrained")
        for place, shares in enumerate(mine.values()):
            ax.plot(shares, [place] * len(shares), "o", color=RIGHT, alpha=0.5)
            ax.plot(mean(shares), place, "|", color="black", markersize=12)
        ax.set_yticks(range(len(mine)), list(mine))
        ax.set(ylim=(len(mine) - 0.5, -0.5), xlabel="accuracy; a bar is the mean")
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return headline(text) + chart(figure, text)

    words = table(("pictures", title, "", "accuracy"), ((*row, told(rows[row])) for row in rows))
    controls = [Control("Pictures", pictures), Control(title, options)]
    return Explorer(controls=controls, show=show, in_words=words, **said)  # type: ignore[arg-type]


def read(explorer: str) -> Rows:
    """Read the stored rows of an explorer: "labels" or "strategies"."""
    found: Rows = {}
    with FILE.open(encoding="utf8") as file:
        for row in csv.DictReader(file):
            kind = KINDS[row["pictures"], row["edition"]]
            *run, backbone = row["run"].split(", ")
            of_labels = row["group"] in ("kinds", "labels")
            if of_labels != (explorer == "labels") or run[0] == "neighbors" or backbone == "random":
                continue
            if row["measure"] != MEASURES[kind][of_labels]:
                continue
            title = ", ".join(run).replace("batch statistics", "training mode")
            title = title.replace("new head", "without the head first")
            count = "all" if title == "head" else title.removesuffix(" a class")
            key = (kind, count, backbone) if of_labels else (kind, backbone, title)
            found.setdefault(key, []).append(float(row["value"]))
    return found


def told(shares: list[float]) -> str:
    """Write a mean, with the lowest and the highest where there are several."""
    ends = f" ({percent(min(shares))} to {percent(max(shares))}, {len(shares)} runs)"
    return percent(mean(shares)) + ends * (len(shares) > 1)
