"""Write what was measured into the book: its tables, a figure, and the boxes "What we saw".

    python -m tools.measure.write_tables

reads `book/runs.csv`, which `measure_runs.py` writes, and the benchmark's tables. A box is an
admonition whose name begins with `saw-`, in a chapter or a page. Its table and the line below it
are replaced; what follows in the box stays.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from helpers.metrics import accuracy_interval

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
ANTS, TEN = "ants and bees", "ten classes"
TEST, LAST, BEST = "test accuracy", "last validation accuracy", "best validation accuracy"
VAL, LOSS = "validation accuracy", "last training loss"


class Runs:
    """All rows of runs.csv."""

    def __init__(self, path: Path = BOOK / "runs.csv"):
        """Read them."""
        with path.open(encoding="utf8") as file:
            self.rows = list(csv.DictReader(file))

    def values(self, pictures: str, edition: str, run: str, measure: str) -> dict[int, float]:
        """Return the value of each seed."""
        wanted = (pictures, edition, run, measure)
        return {
            int(row["seed"]): float(row["value"])
            for row in self.rows
            if (row["pictures"], row["edition"], row["run"], row["measure"]) == wanted
        }


def percent(values: dict[int, float]) -> str:
    """Write a mean with the lowest and the highest: "97.0 % (96.0–98.0)"."""
    shares = [100 * value for value in values.values()]
    mean = f"{sum(shares) / len(shares):.1f}\N{NO-BREAK SPACE}%"
    spread = f" ({min(shares):.1f}–{max(shares):.1f})"
    return mean + spread * (max(shares) - min(shares) > 0.05)


def number(values: dict[int, float]) -> str:
    """Write a mean with the lowest and the highest: "0.12 (0.10–0.13)"."""
    found = list(values.values())
    return f"{sum(found) / len(found):.2f} ({min(found):.2f}–{max(found):.2f})"


def times(values: dict[int, float]) -> str:
    """Write a mean of ratios: "2.9 ×"."""
    return f"{sum(values.values()) / len(values):.1f}\N{NO-BREAK SPACE}×"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


class Column(NamedTuple):
    """A column of a box: its title, where its numbers come from, and how they are written."""

    title: str
    edition: str
    measure: str
    write: Callable[[dict[int, float]], str] = percent


def how_many(seeds: dict[str, set[int]]) -> str:
    """Say how many seeds the means of each edition are made of."""
    counts = {name: " or ".join(map(str, sorted(found))) for name, found in seeds.items()}
    if not any(counts.values()):
        return "Nothing here is random: one run each."
    if len(set(counts.values()) - {""}) == 1:
        over = f"{max(counts.values())} seeds"
    else:
        over = f"{counts['photos']} seeds on photographs and {counts['rendered']} on renders"
    return f"The mean over {over}, with the lowest and the highest."


class Box(NamedTuple):
    """A box: a row for each run, which a phone has room for, and a column for each edition."""

    pictures: str
    runs: dict[str, str]  # title: run
    columns: list[Column]
    about: str  # what the numbers are

    def lines(self, runs: Runs) -> list[str]:
        """Write the table and the line below it, which says how many seeds there were."""
        body, seeds = [], {column.edition: set() for column in self.columns}
        for title, run in self.runs.items():
            cells = []
            for column in self.columns:
                values = runs.values(self.pictures, column.edition, run, column.measure)
                cells.append(column.write(values) if values else "–")
                if len(set(values.values())) > 1:  # others have nothing random
                    seeds[column.edition].add(len(values))
            body.append([title, *cells])
        note = f"*{self.about} {how_many(seeds)}*"
        return [*table(["", *(column.title for column in self.columns)], body), "", note]


def each(backbones: Iterable[str], runs: dict[str, str]) -> dict[str, str]:
    """Return the runs of each backbone: titles begin with its name, runs end with it."""
    return {
        f"{name}, {title}": f"{run}, {name}" for name in backbones for title, run in runs.items()
    }


REPORTED = [
    Column("rendered, test", "rendered", TEST),
    Column("photographs, last epoch", "photos", LAST),
]
ON = (
    "200 rendered test pictures, at the best epoch by validation; 153 photographs for validation, "
    "at the last epoch."
)
FEATURES = [Column("rendered, test", "rendered", TEST), Column("photographs", "photos", VAL)]
BACKBONES = ("ResNet-18", "Lite0")
STRATEGIES = {  # the ladder's: a title, and the run without the backbone's name
    "head": "head",
    "normalization": "normalization",
    "normalization, training mode": "normalization, batch statistics",
    "low rank": "low rank",
    "last stage": "last stage",
    "all": "all",
    "all, training mode": "all, batch statistics",
    "all, without the head first": "all, new head",
}
NETWORKS = "The embedded ResNet-18, 96 px; Lite0, 160 px."
ON_FEATURES = "200 rendered test pictures; 153 photographs for validation."
BOXES = {
    "saw-features": Box(
        ANTS,
        {
            "random, nearest average": "nearest average, random",
            "random, trained classifier": "logistic regression, random",
            "pretrained, nearest average": "nearest average, pretrained",
            "pretrained, trained classifier": "logistic regression, pretrained",
        },
        [Column("rendered", "rendered", VAL), Column("photographs", "photos", VAL)],
        "153 validation pictures; the trained classifier is a logistic regression.",
    ),
    "saw-ten": Box(
        TEN,
        {
            "raw, 32 px": "head, raw, 32 px",
            "32 px": "head, 32 px",
            "raw, 64 px": "head, raw, 64 px",
            "64 px": "head, 64 px",
            "96 px": "head, 96 px",
            "fine-tuned, 32 px": "fine-tuned, 32 px",
        },
        [Column("rendered", "rendered", TEST), Column("photographs", "photos", TEST)],
        "Test accuracy: 1,000 rendered pictures, 10,000 photographs (a copy of CIFAR-10 that went "
        "through JPEG); 4,500 to learn from.",
    ),
    "saw-finetuned": Box(
        ANTS,
        {"fine-tuned": "fine-tuned", "from scratch": "from scratch"},
        [
            Column("rendered, test", "rendered", TEST),
            Column("photographs, best epoch", "photos", BEST),
            Column("photographs, last epoch", "photos", LAST),
        ],
        "200 rendered test pictures, 153 photographs for validation.",
    ),
    "saw-first-epoch": Box(
        ANTS,
        {
            "in the epoch": "first epoch, during",
            "after it, on crops": "first epoch, after, crops",
            "after it, on whole pictures": "first epoch, after, whole",
            "after it, on crops, in training mode": "first epoch, after, crops, training mode",
        },
        [
            Column("rendered", "rendered", "training accuracy"),
            Column("photographs", "photos", "training accuracy"),
        ],
        "The 244 training pictures.",
    ),
    "saw-views": Box(
        ANTS,
        {"12 epochs of fresh crops": "frozen", "3 epochs of 4 kept views": "frozen, four views"},
        REPORTED,
        ON,
    ),
    "saw-leak": Box(
        ANTS,
        {
            "frozen": "frozen",
            "leaky": "leaky",
            "batch statistics only": "batch statistics only",
            "adapted once": "adapted once",
        },
        [
            *REPORTED,
            Column("rendered, training loss", "rendered", LOSS, number),
        ],
        f"Accuracy on {ON} Training loss of the last epoch, in nats.",
    ),
    "saw-three": Box(
        ANTS,
        {
            "frozen": "frozen",
            "fine-tuned": "fine-tuned",
            "from scratch": "from scratch",
        },
        REPORTED,
        ON,
    ),
    "saw-few": Box(
        ANTS,
        {
            "frozen, 24 pictures": "frozen, 24 pictures",
            "fine-tuned, 24 pictures": "fine-tuned, 24 pictures",
            "frozen, 244": "frozen",
            "fine-tuned, 244": "fine-tuned",
        },
        REPORTED,
        f"60 steps of 12 pictures with 24 of them. {ON}",
    ),
    "saw-stages": Box(
        ANTS,
        {
            "second stage": "head on layer2",
            "third stage": "head on layer3",
            "last stage": "head on layer4",
        },
        REPORTED,
        f"Heads on the averages of a stage, without augmentation. {ON}",
    ),
    "saw-old-head": Box(
        ANTS,
        {
            f"{title}, {size} px": f"old head, {size} px, {name}"
            for title, name in (("ant or bee", "two"), ("of all 1,000", "thousand"))
            for size in (160, 224)
        },
        FEATURES,
        f"Lite0 with ImageNet's head, nothing trained. {ON_FEATURES}",
    ),
    "saw-kinds": Box(
        ANTS,
        each(("random", *BACKBONES), {"neighbors": "neighbors", "head": "head"}),
        FEATURES,
        f"{NETWORKS} {ON_FEATURES}",
    ),
    "saw-labels": Box(
        ANTS,
        each(
            BACKBONES,
            {f"{n} a class": f"{n} a class" for n in (1, 2, 5, 10, 20)} | {"all 244": "head"},
        ),
        FEATURES,
        f"Each seed draws other labeled pictures. {NETWORKS} {ON_FEATURES}",
    ),
    "saw-sizes": Box(
        ANTS,
        each(BACKBONES, {f"{size} px": f"{size} px" for size in (64, 96, 128, 160, 224)}),
        FEATURES,
        ON_FEATURES,
    ),
    **{
        f"saw-ladder-{name}": Box(
            ANTS,
            {strategy: f"{run}, {title}" for strategy, run in STRATEGIES.items()},
            [
                Column("renders", "rendered", TEST),
                Column("photographs", "photos", LAST),
                Column("step", "rendered", "passes", times),
            ],
            f"{about} {ON} Time: of a training step on a CPU, as a multiple of its forward pass.",
        )
        for name, title, about in (
            ("resnet18", "ResNet-18", "The embedded ResNet-18, 96 px."),
            ("lite0", "Lite0", "Lite0, 160 px."),
        )
    },
    "saw-averages": Box(
        ANTS,
        each(
            BACKBONES,
            {
                "only averages moved": "rate 0, averages as it is",
                "the same, of whole pictures": "rate 0, averages whole pictures",
                "only averages moved, head fitted again": "rate 0, head again",
                "trained": "all, averages as it is",
                "trained, old averages back": "all, averages pretraining",
            },
        ),
        [
            Column("rendered, test", "rendered", "accuracy"),
            Column("photographs", "photos", "accuracy"),
        ],
        f"BatchNorm in training mode, last epoch on both; other crops than those of the ladder. "
        f"{ON_FEATURES}",
    ),
    "saw-shift": Box(
        ANTS,
        each(BACKBONES, {"renders to photographs": "from renders"}),
        [Column("photographs, validation", "photos", VAL)],
        f"A head on features of 244 rendered pictures, tested on 153 photographs. {NETWORKS}",
    ),
}


def read_bench(name: str) -> dict[str, list[str]]:
    """Return the rows of a table of the benchmark by the way of training."""
    with (BOOK / f"bench_{name}.csv").open(encoding="utf8") as file:
        return {row[0]: row[1:] for row in csv.reader(file)}


def original_lines(tasks: dict[str, str]) -> list[str]:
    """Write what the original's settings gave on photographs beside ours, from the benchmark."""
    rows = []
    for title, name in tasks.items():
        bench = read_bench(name)
        columns = bench[""]
        for who, said in (("the original's loops", "the original's"), ("this book", "this book's")):
            found = dict(zip(columns, bench[who], strict=True))
            share, seconds = found["accuracy at the end"], found["s in all"].split()[0]
            rows.append([title, said, share, f"{float(seconds):.0f} s", found["seeds"]])
    note = (
        "*Photographs, the embedded ResNet-18. The original's settings ran with its own loops, "
        "repaired only so far that they run. Accuracy of the last epoch, mean over the seeds with "
        "the lowest and the highest; median seconds for all of it on two processor cores. Frozen, "
        "this book's: a head on features that were kept once, without new crops in each epoch.*"
    )
    return [*table(["", "settings", "accuracy", "time", "seeds"], rows), "", note]


ORIGINAL = {
    "saw-original": {"fine-tuned, ants and bees": "fine-tuned", "frozen, ants and bees": "frozen"},
    "saw-original-ten": {"frozen, CIFAR-10": "cifar10"},
}


def all_lines(runs: Runs) -> dict[str, list[str]]:
    """Write the table and the line below it of each box."""
    found = {name: box.lines(runs) for name, box in BOXES.items()}
    return found | {name: original_lines(tasks) for name, tasks in ORIGINAL.items()}


# The name of a box, and of what is in it: a placeholder, or a table, a blank and a note in italics.
IN_BOX = re.compile(
    r"(:name: (saw-[\w-]+)\n\n)(?:\(table\)|(?:\|[^\n]*\n)+\n\*[^\n]*\*)(?=\n)", re.MULTILINE
)


def filled(text: str, lines: dict[str, list[str]]) -> str:
    """Return a text with the boxes' tables as measured."""
    return IN_BOX.sub(lambda box: box[1] + "\n".join(lines[box[2]]), text)


def fill_notebook(path: Path, lines: dict[str, list[str]]) -> None:
    """Write the boxes of a notebook; everything else stays as it is."""
    notebook = json.loads(path.read_text("utf8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = filled("".join(cell["source"]), lines).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf8")


RENDERS = {
    (ANTS, "ants and bees, 96 px"): ["frozen", "fine-tuned", "from scratch"],
    (TEN, "ten classes"): [
        "head, raw, 32 px",
        "head, 32 px",
        "head, 64 px",
        "fine-tuned, 32 px",
        "from scratch, 32 px",
    ],
}


def renders(runs: Runs) -> list[list[str]]:
    """Return the table of the page about the pictures."""
    rows = [["pictures", "training", "seed 0", "seed 1", "seed 2", "mean"]]
    for (pictures, title), names in RENDERS.items():
        for name in names:
            values = runs.values(pictures, "rendered", name, TEST)
            shares = [100 * values[seed] for seed in range(3)]
            written = [f"{share:.1f} %" for share in (*shares, sum(shares) / len(shares))]
            rows.append([title, name, *written])
    return rows


CHAPTERS = {"frozen, as in chapter 5": "frozen", "fine-tuned, as in chapter 4": "fine-tuned"}
CHAPTERS |= {"from scratch": "from scratch"}


class Result(NamedTuple):
    """A table of the page about the photographs."""

    pictures: str
    backbone: str
    measure: str
    num_pictures: int
    more: dict[str, str]  # runs that have no backbone's name


RESULTS = {
    "photographs_ants_resnet18": Result(ANTS, "ResNet-18", LAST, 153, CHAPTERS),
    "photographs_ants_lite0": Result(ANTS, "Lite0", LAST, 153, {}),
    "photographs_cifar10_resnet18": Result(TEN, "ResNet-18", TEST, 2000, {}),
    "photographs_cifar10_lite0": Result(TEN, "Lite0", TEST, 2000, {}),
}


def photographs(runs: Runs, result: Result) -> list[list[str]]:
    """Return a table of the page about the photographs: each way to train a backbone."""
    rows = [["", "accuracy", "95 % interval", "p"]]
    named = {title: f"{run}, {result.backbone}" for title, run in STRATEGIES.items()}
    for title, run in (named | result.more).items():
        values = runs.values(result.pictures, "photos", run, result.measure)
        if values:
            p = runs.values(result.pictures, "photos", f"{run} ~ head, {result.backbone}", "p")
            mean = sum(values.values()) / len(values)
            low, high = accuracy_interval(mean, result.num_pictures)
            row = [title, percent(values), f"{100 * low:.1f}–{100 * high:.1f}"]
            rows.append([*row, span(p) if p else "–"])
    return rows


def span(values: dict[int, float]) -> str:
    """Write the smallest and the largest p: "0.34–1.00", "< 0.01–0.02", or "< 0.01"."""
    low, high = min(values.values()), max(values.values())
    if high < 0.01:
        return "<\N{NO-BREAK SPACE}0.01"
    return f"<\N{NO-BREAK SPACE}0.01–{high:.2f}" if low < 0.01 else f"{low:.2f}–{high:.2f}"


def plot(runs: Runs, path: Path) -> None:
    """Draw the accuracy on photographs of each way to train, a point a seed."""
    plt.style.use(ROOT / "notebooks" / "matplotlibrc")
    rows = {"height_ratios": (8, 6)}  # as many as there are strategies
    fig, axes = plt.subplots(2, 1, figsize=(5, 5.8), sharex=True, gridspec_kw=rows)
    for result in RESULTS.values():
        ax = axes[0] if result.pictures == ANTS else axes[1]
        color, marker = ("C0", "o") if result.backbone == "ResNet-18" else ("C1", "s")
        found = {
            title: runs.values(
                result.pictures, "photos", f"{run}, {result.backbone}", result.measure
            )
            for title, run in STRATEGIES.items()
        }
        titles = [title for title in STRATEGIES if found[title]]
        points = [(v, place) for place, t in enumerate(titles) for v in found[t].values()]
        ax.plot(*zip(*points, strict=True), marker, color=color, alpha=0.6, label=result.backbone)
        ax.set_yticks(range(len(titles)), titles)
        ax.set_ylim(len(titles) - 0.5, -0.5)
    axes[0].set_title("ants and bees, validation")
    axes[1].set_title("CIFAR-10, test")
    axes[1].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    fig.savefig(path, metadata={"Date": None})


def write(path: Path, rows: list[list[str]]) -> None:
    """Write a table as CSV."""
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    """Write all of it."""
    runs = Runs()
    write(BOOK / "renders.csv", renders(runs))
    for name, result in RESULTS.items():
        write(BOOK / f"{name}.csv", photographs(runs, result))
    plot(runs, BOOK / "figures" / "photographs.svg")
    lines = all_lines(runs)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        fill_notebook(path, lines)
    for path in sorted(BOOK.glob("*.md")):
        text = path.read_text("utf8")
        if "(table)" in text or ":name: saw-" in text:
            path.write_text(filled(text, lines), "utf8")


if __name__ == "__main__":
    main()
