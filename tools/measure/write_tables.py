"""Write what was measured into the book: its tables, a figure, and the boxes "What we saw".

    python -m tools.measure.write_tables

reads `book/runs.csv`, which `measure_runs` writes, and the tables of the benchmark; what a box has
stands in `book/boxes.toml`. A box is an admonition whose name begins with `saw-`, in a chapter or a
page. Its table and the line below it are replaced; what follows in the box stays.
"""

import csv
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from helpers.metrics import accuracy_interval
from helpers.runtime import atomic_write

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"


def read_csv(path: Path) -> list[list[str]]:
    """Read the rows of a table, its header among them."""
    with path.open(newline="", encoding="utf8") as file:
        return list(csv.reader(file))


def write_csv(path: Path, rows: list[list[str]]) -> None:
    """Write a table whole, its header among the rows."""
    with atomic_write(path) as aside, aside.open("w", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


class Runs:
    """The numbers of runs.csv."""

    def __init__(self, rows: list[list[str]]):
        """Take all rows of the file."""
        self.found: dict[tuple[str, ...], dict[int, float]] = {}
        for pictures, edition, _, run, measure, seed, value in rows[1:]:
            mine = self.found.setdefault((pictures, edition, run, measure), {})
            mine[int(seed)] = float(value)

    def values(self, pictures: str, edition: str, run: str, measure: str) -> dict[int, float]:
        """Return the value of each seed."""
        return self.found.get((pictures, edition, run, measure), {})


def percent(values: dict[int, float]) -> str:
    """Write a mean with the lowest and the highest: "97.0 % (96.0–98.0)"."""
    shares = [100 * value for value in values.values()]
    spread = f" ({min(shares):.1f}–{max(shares):.1f})"
    return f"{mean(shares):.1f}\N{NO-BREAK SPACE}%" + spread * (max(shares) - min(shares) > 0.05)


def number(values: dict[int, float]) -> str:
    """Write a mean with the lowest and the highest: "0.12 (0.10–0.13)"."""
    found = values.values()
    return f"{mean(found):.2f} ({min(found):.2f}–{max(found):.2f})"


def times(values: dict[int, float]) -> str:
    """Write a mean of ratios: "2.9 ×"."""
    return f"{mean(values.values()):.1f}\N{NO-BREAK SPACE}×"


def span(values: dict[int, float]) -> str:
    """Write the smallest and the largest p: "0.34–1.00", "< 0.01–0.02", or "< 0.01"."""
    low, high = min(values.values()), max(values.values())
    if high < 0.01:
        return "<\N{NO-BREAK SPACE}0.01"
    return f"<\N{NO-BREAK SPACE}0.01–{high:.2f}" if low < 0.01 else f"{low:.2f}–{high:.2f}"


def interval(values: dict[int, float], num_pictures: int) -> str:
    """Write the 95 % interval of a mean accuracy: "88.4–96.4"."""
    low, high = accuracy_interval(mean(values.values()), num_pictures)
    return f"{100 * low:.1f}–{100 * high:.1f}"


WRITTEN = {"percent": percent, "number": number, "times": times, "span": span}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


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


def read_boxes() -> dict[str, dict]:
    """Read what each box holds."""
    return tomllib.loads((BOOK / "boxes.toml").read_text("utf8"))


def box_lines(box: dict, runs: Runs) -> list[str]:
    """Write a box's table and the line below it, which says how many seeds there were."""
    body, seeds = [], {edition: set() for _, edition, _, _ in box["columns"]}
    for title, run in box["rows"]:
        cells = []
        for _, edition, measure, written in box["columns"]:
            name = f"{run} ~ {box['against']}" if measure == "p" else run
            values = runs.values(box["pictures"], edition, name, measure)
            if written == "interval":
                cells.append(interval(values, box["num_pictures"]))
            else:
                cells.append(WRITTEN[written](values) if values else "–")
            if len(set(values.values())) > 1:  # others have nothing random
                seeds[edition].add(len(values))
        body.append([title, *cells])
    titles = [title for title, *_ in box["columns"]]
    return [*table(["", *titles], body), "", f"*{box['about']} {how_many(seeds)}*"]


def all_lines(runs: Runs) -> dict[str, list[str]]:
    """Write the table and the line below it of each box."""
    return {name: box_lines(box, runs) for name, box in read_boxes().items()}


# The name of a box, and of what is in it: a placeholder, or a table, a blank and a note in italics.
IN_BOX = re.compile(
    r"(:name: (saw-[\w-]+)\n+)(?:\(table\)|(?:\|[^\n]*\n)+\n\*[^\n]*\*)(?=\n)", re.MULTILINE
)


def filled(text: str, lines: dict[str, list[str]]) -> str:
    """Return a text with the boxes' tables as measured."""
    return IN_BOX.sub(lambda box: box[1] + "\n".join(lines[box[2]]), text)


def edit_notebook(path: Path, edited: Callable[[str], str]) -> None:
    """Change the Markdown of a notebook; everything else stays as it is."""
    notebook = json.loads(path.read_text("utf8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = edited("".join(cell["source"])).splitlines(keepends=True)
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


@plt.style.context(ROOT / "notebooks" / "matplotlibrc")
def plot(runs: Runs, path: Path) -> None:
    """Draw the accuracy on photographs of each way to train, a point a seed."""
    heights = {"height_ratios": (8, 6)}  # as many as there are strategies
    fig, axes = plt.subplots(2, 1, figsize=(5, 5.8), sharex=True, gridspec_kw=heights)
    for ax, pictures in zip(axes, ("ants", "cifar10"), strict=True):
        for backbone, color, marker in (("ResNet-18", "C0", "o"), ("Lite0", "C1", "s")):
            name = backbone.lower().replace("-", "")
            box = read_boxes()[f"saw-photographs-{pictures}-{name}"]
            _, edition, measure, _ = box["columns"][0]
            rows = [row for row in box["rows"] if row[1].endswith(backbone)]
            points = [
                (share, place)
                for place, (_, run) in enumerate(rows)
                for share in runs.values(box["pictures"], edition, run, measure).values()
            ]
            ax.plot(*zip(*points, strict=True), marker, color=color, alpha=0.6, label=backbone)
            ax.set_yticks(range(len(rows)), [title for title, _ in rows])
            ax.set_ylim(len(rows) - 0.5, -0.5)
    axes[0].set_title("ants and bees, validation")
    axes[1].set_title("CIFAR-10, test")
    axes[1].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    fig.savefig(path, format="svg", metadata={"Date": None})
    plt.close(fig)


def write_text(path: Path, text: str) -> None:
    """Write a file whole."""
    with atomic_write(path) as aside:
        aside.write_text(text, "utf8")


STORED = ("kinds", "labels", "ladder_resnet18", "ladder_lite0", "ladder_lite2")
STORED += ("ten_resnet18", "ten_lite0")  # the groups that an explorer shows
MEASURES = ("test accuracy", "validation accuracy", "last validation accuracy")


def main() -> None:
    """Write all of it."""
    header, *rows = read_csv(BOOK / "runs.csv")
    shown = [row for row in rows if row[2] in STORED and row[4] in MEASURES]
    write_csv(ROOT / "helpers" / "explorers" / "stored.csv", [header, *shown])
    runs = Runs([header, *rows])
    with atomic_write(BOOK / "figures" / "photographs.svg") as aside:
        plot(runs, aside)
    lines = all_lines(runs)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        edit_notebook(path, lambda text: filled(text, lines))
    for path in sorted(BOOK.glob("*.md")):
        text = path.read_text("utf8")
        if filled(text, lines) != text:
            write_text(path, filled(text, lines))


if __name__ == "__main__":
    main()
