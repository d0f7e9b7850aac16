"""Each measured number in the book's prose is the one that its store gives today.

`book/numbers.toml` lists, for each file, what it says of the measurements, with the name of a value
in place of each number. Filled in, that must stand in the file; and no other number in it may look
measured. The values come from the stores: through the boxes and tables that are written from them,
through what the chapters have printed, and as `points`, differences between two rows of a box.
"""

import json
import re
import tomllib
from itertools import product
from math import ceil, floor
from pathlib import Path
from statistics import mean

import pytest

from tools.bench import report
from tools.measure import write_tables
from tools.measure.groups import ANTS, TEN
from tools.measure.write_tables import BOOK, ROOT, Runs, read_csv

Rows = list[list[str]]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CLAIMS = tomllib.loads((BOOK / "numbers.toml").read_text("utf8"))
NOT_MEASURED, POINTS = CLAIMS.pop("not measured"), CLAIMS.pop("points")
WORDS = ["nothing", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
WORDS += ["eleven", "twelve"]
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
LOOKS_MEASURED = re.compile(  # a number with a unit that measurements have, or with decimals
    rf"\b{NUMBER} ?%|\b(?:{NUMBER}|{'|'.join(WORDS[1:])}) (?:points|s|ms|kB|MB|GB)\b"
    r"|(?<![\d.])\d+\.\d+(?![\d.])"
)
INVENTED = ("paper_test.md", "answers.md", "references.md")
# Beside these, what is written into a page, code, and the key of the test on paper.
GENERATED = re.compile(
    rf"{write_tables.IN_BOX.pattern}|(?s:```.*?```|\(test-on-paper\)=.*?\n## Questions)"
)
TEST = "test accuracy"
FIXED = ("normalization", "low rank", "last stage", "all", "all, new head")


class Cell(str):
    """The first number of a cell, and the lowest and highest, if they stand in brackets."""

    spread: list[float]

    def __new__(cls, cell: str):
        found = re.findall(NUMBER, cell) or [cell]
        self = super().__new__(cls, found[0])
        self.spread = list(map(float, found[1:3]))
        return self

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


def word(number: int) -> str:
    """Write a small number in words, as the book does."""
    return WORDS[number] if 0 <= number < len(WORDS) else str(number)


class Points(float):
    """A difference of accuracies in points, written in words where no other format is asked for."""

    def __format__(self, spec: str) -> str:
        if spec == "or":
            return f"{word(floor(self))} or {word(ceil(self))}" if round(self) else word(0)
        words = {"": round(self), "at most": ceil(self), "over": 5 * floor(self / 5)}
        return word(words[spec]) if spec in words else format(float(self), spec)


def cells_of(path: Path) -> list[dict]:
    """Read the cells of a notebook."""
    return json.loads(path.read_text("utf8"))["cells"]


class Printed:
    """What a chapter has printed, and what its explorers say, a row of a table in a line."""

    def __init__(self, path: Path):
        outputs = [output for cell in cells_of(path) for output in cell.get("outputs", [])]
        page = "".join("".join(out.get("data", {}).get("text/html", "")) for out in outputs)
        page = re.sub(r"<[^>]+>", "\n", re.sub(r"</t[dh]>\s*<t[dh]>", " ", page))
        self.text = "".join("".join(output.get("text", "")) for output in outputs) + page

    def __getitem__(self, text: str) -> list[str]:
        """Return the numbers of the first line that has a text, but for those of the text."""
        line = next(line for line in self.text.splitlines() if text in line)
        return re.findall(NUMBER, line.replace(text, " ", 1))


PRINTED = {f"chapter_{int(path.stem[:2])}": Printed(path) for path in NOTEBOOKS}


@pytest.fixture(scope="module")
def stores() -> dict[str, Rows]:
    """What was measured; a record of the benchmark is a row with one cell."""
    paths = [BOOK / f"{name}.csv" for name in ("runs", "growth_features", "hardware")]
    stores = {path.stem: read_csv(path) for path in paths}
    for name, file in (("depth", "unfreeze"), ("crops", "crops")):
        stores[name] = read_csv(ROOT / "helpers" / "explorers" / f"{file}.csv")
    return stores | {"raw": [[json.dumps(record)] for record in report.read(report.RAW)]}


def values_of(stores: dict[str, Rows]) -> dict:
    """Return all that a claim can name."""
    runs, values = Runs(stores["runs"]), {**PRINTED, **others_of(stores)}
    for name, (header, *rows) in tables_of(stores).items():
        values[name.replace("-", "_")] = {
            row[0]: dict(zip(header[1:], map(Cell, row[1:]), strict=True)) for row in rows
        }
    for name, box in write_tables.read_boxes().items():
        rows = [line.strip("| ").split(" | ") for line in write_tables.box_lines(box, runs)[2:-2]]
        name = name.removeprefix("saw-").replace("-", "_")
        values[name] = {title: list(map(Cell, cells)) for title, *cells in rows}
    values["points"] = {
        name: Points(share(box, one, column, runs) - share(other_box, other, column, runs))
        for name, ((box, one), (other_box, other), column) in POINTS.items()
    }
    values["points"]["luck"] = Points(float(PRINTED["chapter_4"]["the best of 25"][0]) - 50)
    return values


def share(name: str, title: str, column: int, runs: Runs) -> float:
    """Return the mean of a row and a column of a box, in per cent."""
    box = write_tables.read_boxes()[f"saw-{name}"]
    run, (_, edition, measure, _) = dict(box["rows"])[title], box["columns"][column]
    return 100 * mean(runs.values(box["pictures"], edition, run, measure).values())


def tables_of(stores: dict[str, Rows]) -> dict[str, Rows]:
    """Return the tables of the benchmark, as their writer makes them."""
    records = [json.loads(row[0]) for row in stores["raw"]]
    return {
        f"bench_{work}": [report.COLUMNS, *report.summarize(records, work)]
        for work in report.TITLES
    }


def others_of(stores: dict[str, Rows]) -> dict[str, dict]:
    """Return what the stores beside the runs and the benchmark say."""
    features = {f"{row[0]}, {row[1]}": list(map(Cell, row)) for row in stores["growth_features"]}
    few, many = (features[f"{count}, 2 processors"] for count in ("10,000", "100,000"))
    megabytes = float(many[4].replace(",", "")) - float(few[4].replace(",", ""))
    settings = depth_of(stores)
    best = max(settings, key=lambda setting: settings[setting][1])
    return {
        "growth_features": features,
        "memory": {"kB a picture": round(1000 * megabytes / 90_000)},
        "hardware": {f"{row[1]} {row[3]}": row for row in stores["hardware"]},
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
        cells = cells_of(path)
        prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        prose = [text for text in prose if not text.startswith("## Quiz")]
        found[path] = "\n\n".join(prose + [json.dumps(cell["metadata"]) for cell in cells])
    typed = {path: GENERATED.sub("", text) for path, text in found.items()}
    return {
        path.relative_to(ROOT).as_posix(): text.replace("\N{NO-BREAK SPACE}", " ")
        for path, text in typed.items()
    }


def test_the_text_says_what_was_measured(stores):
    values, pages = values_of(stores), texts()
    for name, claims in CLAIMS.items():
        for said in (claim.format(**values) for claim in claims):
            assert said in pages[name], f"{name} does not say: {said}"


def test_no_other_number_in_the_text_looks_measured(stores):
    values, found, all_text = values_of(stores), [], ""
    for name, text in texts().items():
        all_text += text
        if name.removeprefix("book/") in INVENTED:
            continue
        for claim in CLAIMS.get(name, []):  # also in a claim, a value stands in place of a number
            text = text.replace(claim.format(**values), re.sub(r"\{[^}]*\}", "…", claim))
        for said in NOT_MEASURED:
            text = text.replace(said, "…")
        for number in LOOKS_MEASURED.finditer(text):
            found.append(f"{name}: {text[max(0, number.start() - 60) : number.end() + 20]!r}")
    assert not found, "name these in book/numbers.toml"
    assert not [said for said in NOT_MEASURED if said not in all_text], "these stand nowhere"


def test_what_is_written_from_the_stores_is_up_to_date(stores, tmp_path):
    """So whoever edits a table or a box by hand, or forgets a writer, is told."""
    runs = Runs(stores["runs"])
    for name, rows in tables_of(stores).items():
        assert read_csv(BOOK / f"{name}.csv") == rows, f"{name}.csv: run its writer"
    lines, found = write_tables.all_lines(runs), []
    for path in [*NOTEBOOKS, *BOOK.glob("*.md")]:
        text = path.read_text("utf8")
        if path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in cells_of(path))
        assert write_tables.filled(text, lines) == text, f"{path.name}: run write_tables"
        found += re.findall(r":name: (saw-[\w-]+)", text)
    assert set(found) == lines.keys()
    report.plot([json.loads(row[0]) for row in stores["raw"]], tmp_path / "bench.svg")
    for drawn in tmp_path.iterdir():
        stored = (BOOK / "figures" / drawn.name).read_text("utf8")
        one, other = (re.findall(r"-?\d+\.\d+", svg) for svg in (stored, drawn.read_text("utf8")))
        assert list(map(float, one)) == pytest.approx(list(map(float, other)), abs=0.01)


SAME_RUNS = [  # how runs.csv names a run, and where the chapters print what it measured
    (ANTS, "frozen", TEST, [(5, "frozen  ")]),
    (ANTS, "frozen", "best validation accuracy", [(5, "best validation accuracy ")]),
    (ANTS, "fine-tuned", TEST, [(4, "test: "), (5, "fine-tuned  ")]),
    (ANTS, "from scratch", TEST, [(5, "from scratch  ")]),
    (ANTS, "first epoch, during", "training accuracy", [(4, "in the epoch ")]),
    (TEN, "head, 64 px", TEST, [(3, "frozen, 64 px: ")]),
    (TEN, "head, raw, 32 px", "best validation accuracy", [(3, "raw, 32 px ")]),
]


def test_the_chapters_print_what_the_stores_have(stores):
    runs = Runs(stores["runs"])
    for pictures, run, measure, places in SAME_RUNS:
        value = runs.values(pictures, "rendered", run, measure)[0]
        for chapter, text in places:
            assert PRINTED[f"chapter_{chapter}"][text][0] == f"{100 * value:.1f}", (chapter, text)
    for scale, share in stores["crops"][1:]:
        said = f"{100 * float(scale):.0f} % {100 * float(share):.1f} %"
        assert said in PRINTED["chapter_4"].text.replace("\N{NO-BREAK SPACE}", " ")
    for (stage, rate, mode), (test, _) in depth_of(stores).items():
        rate = "–" if stage == "the head" else rate
        said = f"{stage} {rate} {mode} {test:.1f} %"
        assert said in PRINTED["chapter_7"].text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_is_said_of_every_seed_was_measured(stores):
    """In the boxes of chapters 6 and 7 and on the page of results; p is that of the paired test."""
    runs = Runs(stores["runs"])

    def seeds(run: str, measure: str, pictures: str = ANTS, edition: str = "photos") -> list[float]:
        return list(runs.values(pictures, edition, run, measure).values())

    training = ("all, batch statistics", "normalization, batch statistics")
    for strategy, backbone in product((*FIXED, *training), ("ResNet-18", "Lite0")):
        p = seeds(f"{strategy}, {backbone} ~ head, {backbone}", "p")
        if (strategy, backbone) == ("all, batch statistics", "Lite0"):
            assert max(p) < 0.05
        else:
            assert min(p) > 0.05, (strategy, backbone)
    for backbone in ("ResNet-18", "Lite0"):
        whole, head = (seeds(f"{run}, {backbone}", TEST, TEN) for run in ("all", "head"))
        assert all(one > other for one, other in zip(whole, head, strict=True))
    editions = ("rendered", TEST, 20, 0.9, 1), ("photos", "validation accuracy", 17, 0.4, 0.6)
    for edition, measure, ahead, least, most in editions:
        (resnet18,) = set(seeds("head, ResNet-18", measure, edition=edition))
        (head,) = set(seeds("head, Lite0", measure, edition=edition))
        few = seeds("5 a class, Lite0", measure, edition=edition)
        assert mean(few) > resnet18 and sum(share > resnet18 for share in few) == ahead
        moved, whole, again, back = (
            mean(seeds(f"{run}, Lite0", "accuracy", edition=edition))
            for run in (
                "rate 0, averages as it is",
                "rate 0, averages whole pictures",
                "rate 0, head again",
                "all, averages pretraining",
            )
        )
        assert whole < moved and back == pytest.approx(head, abs=0.01)
        assert least < (again - moved) / (head - moved) < most
