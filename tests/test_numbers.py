"""Each measured number in the book's prose is the one that its store gives today.

`book/numbers.toml` lists, for each file, what it says of the measurements, with the name of a value
in place of each number. Filled in, that must stand in the file; and no other number in it may look
measured. The values come from the stores: through the boxes and tables that are written from them,
through what the chapters have printed, and as the differences below.
"""

import json
import re
import tomllib
from math import ceil, floor
from pathlib import Path
from statistics import mean

import nbformat
import pytest

from helpers.metrics import accuracy_interval
from tools.bench import growth, report
from tools.measure import write_tables
from tools.measure.write_tables import ANTS, BOOK, LAST, ROOT, TEN, TEST, Runs, read_csv

Rows = list[list[str]]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CLAIMS = tomllib.loads((BOOK / "numbers.toml").read_text("utf8"))
NOT_MEASURED = CLAIMS.pop("not measured")
WORDS = "nothing one two three four five six seven eight nine ten eleven twelve thirteen".split()
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
LOOKS_MEASURED = re.compile(  # a number with a unit that measurements have, or with decimals
    rf"\b{NUMBER} ?%|\b(?:{NUMBER}|{'|'.join(WORDS[1:])}) (?:points|s|ms|kB|MB|GB|pictures a second)\b"
    r"|(?<![\d.])\d+\.\d+(?![\d.])"
)
INVENTED = ("paper_test.md", "answers.md", "references.md")
# Beside these, what is written into a page, code, and the key of the test on paper.
GENERATED = re.compile(
    rf"{write_tables.IN_BOX.pattern}|(?s:```.*?```|\(test-on-paper\)=.*?\n## Questions)"
)
FIXED = ("normalization", "low rank", "last stage", "all", "all, new head")


class Value(str):
    """A number as it is written, which can be formatted as a number, too."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


def first(cell: str) -> Value:
    """Return the first number of a cell, or the cell."""
    found = re.search(NUMBER, cell)
    return Value(found[0] if found else cell)


class Printed:
    """What a chapter has printed, and what its explorers say, a row of a table in a line."""

    def __init__(self, path: Path):
        outputs = [o for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", [])]
        page = "\n".join(output.get("data", {}).get("text/html", "") for output in outputs)
        page = re.sub(r"<[^>]+>", "\n", re.sub(r"</t[dh]>\s*<t[dh]>", " ", page))
        self.text = "".join(output.get("text", "") for output in outputs) + page

    def __getitem__(self, text: str) -> list[str]:
        """Return the numbers of the first line that has a text, but for those of the text."""
        line = next(line for line in self.text.splitlines() if text in line)
        return re.findall(NUMBER, line.replace(text, " ", 1))


PRINTED = {f"chapter_{int(path.stem[:2])}": Printed(path) for path in NOTEBOOKS}


def read_stores() -> dict[str, Rows]:
    """Read what was measured; a record of the benchmark is a row with one cell."""
    paths = [BOOK / f"{name}.csv" for name in ("runs", "growth", "growth_features", "hardware")]
    stores = {path.stem: read_csv(path) for path in paths}
    for path in (ROOT / "helpers" / "explorers").glob("*.csv"):
        rows = read_csv(path)
        stores["depth" if rows[0][0] == "stage" else "crops"] = rows
    return stores | {"raw": [[json.dumps(record)] for record in report.read(report.RAW)]}


def values_of(stores: dict[str, Rows]) -> dict:
    """Return all that a claim can name."""
    runs = Runs(stores["runs"])
    values = {**PRINTED, "points": points_of(runs)} | others_of(stores)
    for name, (header, *rows) in tables_of(stores).items():
        values[name.replace("-", "_")] = {
            row[0]: dict(zip(header[1:], map(first, row[1:]), strict=True)) for row in rows
        }
    for name, box in write_tables.read_boxes().items():
        rows = [line.strip("| ").split(" | ") for line in write_tables.box_lines(box, runs)[2:-2]]
        name = name.removeprefix("saw-").replace("-", "_")
        values[name] = {title: list(map(first, cells)) for title, *cells in rows}
    return values


def tables_of(stores: dict[str, Rows]) -> dict[str, Rows]:
    """Return the tables of the pages, as their writers make them."""
    records = [json.loads(row[0]) for row in stores["raw"]]
    return write_tables.tables(Runs(stores["runs"])) | {
        f"bench_{work}": [report.COLUMNS, *report.summarize(records, work)]
        for work in report.works_of(records)
    }


def word(value: float) -> str:
    """Write a number of points in words."""
    return WORDS[round(value)]


def points_of(runs: Runs) -> dict[str, str]:
    """Return differences of accuracies, in points, and shares that no table has."""
    boxes = write_tables.read_boxes()

    def shares(box: str, title: str, column: int) -> list[float]:
        """Return the accuracy of each seed, in per cent: a row and a column of a box."""
        mine = boxes[f"saw-{box}"]
        run, (_, edition, measure, _) = dict(mine["rows"])[title], mine["columns"][column]
        found = runs.values(mine["pictures"], edition, run, measure)
        return [100 * value for value in found.values()]

    def gap(box: str, one: str, other: str, column: int = 0) -> float:
        return mean(shares(box, one, column)) - mean(shares(box, other, column))

    def ten(run: str) -> float:
        return 100 * mean(runs.values(TEN, "photos", run, TEST).values())

    def fixed(backbone: str, pictures: str, measure: str) -> list[list[float]]:
        """Return the accuracies of the head and of the strategies with fixed averages."""
        names = (f"{strategy}, {backbone}" for strategy in ("head", *FIXED))
        found = (runs.values(pictures, "photos", name, measure).values() for name in names)
        return [[100 * value for value in values] for values in found if values]

    old = shares("averages", "ResNet-18, trained, old averages back", 0)
    renders, photographs = (
        gap("first-epoch", "after it, on crops", "in the epoch", column) for column in (0, 1)
    )
    lite0, resnet18 = (
        list(map(mean, fixed(backbone, ANTS, LAST))) for backbone in ("Lite0", "ResNet-18")
    )
    of_ten = [share for values in fixed("Lite0", TEN, TEST) for share in values]
    reach = [abs(100 * end - share) for share in lite0 + resnet18 for end in accuracy_interval(share / 100, 153)]
    found = {
        "luck": word(float(PRINTED["chapter_4"]["the best of 25"][0]) - 50),
        "weights": f"{photographs:.0f} to {renders:.0f}",
        "weights, renders": f"{renders:.0f}",
        "weights, photographs": f"{photographs:.0f}",
        "128 pixels": word(gap("sizes", "ResNet-18, 128 px", "ResNet-18, 96 px")),
        "training mode, renders": word(gap("ladder-resnet18", "all, training mode", "head")),
        "training mode": word(gap("ladder-lite0", "head", "all, training mode", 1)),
        "new head": word(gap("ladder-resnet18", "all, without the head first", "all")),
        "fixed": WORDS[ceil(max(abs(share - lite0[0]) for share in lite0))],
        "worst seed": f"{min(old):.3g}",
        "best seed": f"{max(old):.3g}",
        "shift": WORDS[floor((lite0[0] - shares("shift", "Lite0, renders to photographs", 0)[0]) / 5) * 5],
        "Lite0": f"{mean(lite0):.0f}",
        "ResNet-18": f"{mean(resnet18):.0f}",
        "backbones": word(lite0[0] - resnet18[0]),
        "backbones, 96 pixels": word(gap("sizes", "Lite0, 96 px", "ResNet-18, 96 px", 1)),
        "strategies": WORDS[ceil(max(max(lite0) - min(lite0), max(resnet18) - min(resnet18)))],
        "interval": f"{WORDS[floor(min(reach))]} to {word(max(reach))}",
        "lowest of ten": f"{min(of_ten):.0f}",
        "highest of ten": f"{max(of_ten):.0f}",
        "head of ten": f"{ten('head, ResNet-18'):.0f}",
        "heads of ten": word(ten("head, Lite0") - ten("head, ResNet-18")),
        "wholes of ten": word(ten("all, Lite0") - ten("all, ResNet-18")),
    }
    for backbone, sign in (("ResNet-18", 1), ("Lite0", -1)):
        whole = ten(f"all, {backbone}")
        found[f"whole, {backbone}"] = f"{whole - ten(f'head, {backbone}'):.1f}"
        found[f"begun, {backbone}"] = word(sign * (whole - ten(f"all, new head, {backbone}")))
    for column, edition in enumerate(("renders", "photographs")):
        kept = gap("views", "12 epochs of fresh crops", "3 epochs of 4 kept views", column)
        (whole,) = set(shares("labels", "ResNet-18, all 244", column))
        ahead = sum(share > whole for share in shares("labels", "Lite0, 5 a class", column))
        found |= {
            f"normalizing, {edition}": word(gap("ten", "32 px", "raw, 32 px", column)),
            f"enlarging, {edition}": word(gap("ten", "64 px", "32 px", column)),
            f"views, {edition}": "nothing" if round(kept) == 0 else f"{WORDS[floor(kept)]} or {WORDS[ceil(kept)]}",
            f"head, {edition}": word(gap("kinds", "Lite0, head", "Lite0, neighbors", column)),
            f"64 pixels, {edition}": f"{gap('sizes', 'Lite0, 160 px', 'Lite0, 64 px', column):.1f}",
            f"draws, {edition}": f"{ahead}",
        }
    return found


def others_of(stores: dict[str, Rows]) -> dict[str, dict]:
    """Return what the stores beside the runs and the benchmark say."""
    slopes, times = {}, {}
    for method in growth.METHODS:
        mine = [row for row in stores["growth"] if row[0] == method]
        fit = growth.fit_line([int(row[1]) for row in mine], [float(row[2]) for row in mine])
        slopes[method] = f"{1000 * fit[1]:.2g}"
    for _, pixels, _, form, _, trained, _, seen in stores["hardware"][1:]:
        times[form, pixels] = trained, seen
    seen = [float(times["channels last", pixels][1]) for pixels in ("32", "96", "224")]
    few, many, million, *_ = (r for r in stores["growth_features"] if r[1] == "2 processors")
    card = next(row for row in stores["growth_features"] if row[1] == "1 graphics card")
    kept = int(few[4].replace(",", "")), int(many[4].replace(",", ""))
    settings = depth_of(stores)
    best = max(settings, key=lambda setting: settings[setting][1])
    return {
        "growth": {f"{row[0]}, {row[1]}": {"peak MB": row[3]} for row in stores["growth"]},
        "slope": slopes,
        "hardware": {
            "forward": f"{min(seen)} to {max(seen)}",
            "bfloat16": max(float(times["both", pixels][0]) for pixels in ("32", "96", "224")),
        }
        | {
            f"training, {pixels}": gained if float(gained) > 1.05 else "nothing"
            for pixels, gained in ((p, times["channels last", p][0]) for p in ("32", "96", "224"))
        },
        "shards": {
            "disk": million[5].split()[0],
            "rate": card[3],
            "memory": round(1000 * (kept[1] - kept[0]) / 90_000),
        },
        "crops": {round(100 * float(a)): f"{100 * float(b):.1f}" for a, b in stores["crops"][1:]},
        "depth": {"best": best[0], "accuracy": f"{settings[best][0]:.1f}"},
    }


def depth_of(stores: dict[str, Rows]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Return the mean test accuracy and best validation accuracy of each setting, in per cent."""
    found = {}
    for stage, rate, mode, _, test, _, epochs in stores["depth"][1:]:
        if test:  # the loss became no number in others
            best = max(map(float, epochs.split()))
            found.setdefault((stage, rate, mode), []).append((100 * float(test), 100 * best))
    return {key: tuple(map(mean, zip(*runs, strict=True))) for key, runs in found.items()}


def texts() -> dict[str, str]:
    """Return what people typed, by file: without generated boxes, tables and code."""
    pages = [*BOOK.glob("*.md"), *BOOK.glob("guide/*.toml"), ROOT / "README.md"]
    found = {path: path.read_text("utf8") for path in pages}
    for path in NOTEBOOKS:
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
        figures = [json.dumps(cell.metadata) for cell in nbformat.read(path, 4).cells]
        prose = [cell.source for cell in cells if not cell.source.startswith("## Quiz")]
        found[path] = "\n\n".join(prose + figures)
    return {
        path.relative_to(ROOT).as_posix(): GENERATED.sub("", text).replace("\N{NO-BREAK SPACE}", " ")
        for path, text in found.items()
    }


def wrong(values: dict) -> list[str]:
    """Return the claims that don't stand in their files with these values."""
    pages = texts()
    return [
        f"{name} does not say: {said}"
        for name, claims in CLAIMS.items()
        for said in (claim.format(**values) for claim in claims)
        if said not in pages[name]
    ]


@pytest.fixture(scope="module")
def stores():
    return read_stores()


def test_the_text_says_what_was_measured(stores):
    assert not wrong(values_of(stores))


def test_no_other_number_in_the_text_looks_measured(stores):
    values, found = values_of(stores), []
    for name, text in texts().items():
        if name.removeprefix("book/") in INVENTED:
            continue
        for said in [*(claim.format(**values) for claim in CLAIMS.get(name, [])), *NOT_MEASURED]:
            text = text.replace(said, "…")
        found += [
            f"{name}: {text[max(0, m.start() - 60) : m.end() + 20]!r}"
            for m in LOOKS_MEASURED.finditer(text)
        ]
    assert not found, "\n" + "\n".join(found)
