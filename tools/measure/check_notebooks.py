"""Check that stored notebooks are fit to be shown: `… tools.measure.check_notebooks FILE...`"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 2_000_000
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = {"jupyter", "mystnb", "slideshow", "tags"}  # what run_notebooks keeps
# Of somebody's machine; "https://site/home/" is none: what stands before it belongs to it.
PATH = re.compile(r"(?<![\w.~-])(?:/(?:home|Users|tmp|mnt)/|[A-Za-z]:\\+Users\\)")
# What the last line of a cell gives where nobody wanted it, and addresses in memory.
STRAY = re.compile(r"\bText\([\d.-]+, |<(?:matplotlib\.|Axes|Figure|BarContainer)| at 0x[0-9a-f]+")


def problems(path: Path) -> Iterator[str]:
    """Say what is wrong with a notebook, a line each."""
    if path.stat().st_size > MAX_BYTES:
        yield f"is larger than {MAX_BYTES / 1e6:.0f} MB: show fewer or smaller figures"
    notebook = json.loads(path.read_text("utf8"))
    cells = notebook["cells"]
    # As a clean kernel counts them. nbval compares nothing where the counts are missing.
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    if counts != list(range(1, len(counts) + 1)):
        yield "was not run from top to bottom: restart the kernel, run all cells"
    for number, cell in enumerate(cells, 1):
        for problem in problems_of_cell(cell):
            yield f"cell {number} {problem}"


def problems_of_cell(cell: dict) -> Iterator[str]:
    """Say what is wrong with a cell."""
    if PATH.search("".join(cell["source"])):
        yield "has a path of your machine in its source"
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            yield f"ends in an error: {output['ename']}"
            continue
        if WIDGET in output.get("data", {}):
            yield "has a widget, lost with its kernel: store it by tools.measure.run_notebooks"
        if output.get("name") == "stderr":
            yield "wrote to stderr: a warning, or a progress bar"
        text = "\n".join(texts(output))
        if PATH.search(text):
            yield "has a path of your machine in its output"
        if found := STRAY.search(text):
            yield f"shows {found.group()}…: end its last line with a semicolon, or assign it"


def texts(output: dict) -> Iterator[str]:
    """Give the texts of an output that a reader sees: a picture is shown instead of its text."""
    data = output.get("data", {})
    pictures = {kind for kind in data if kind.startswith("image/")}
    hidden = pictures | {"text/plain"} if pictures else set()
    for content in [output.get("text", ""), *(data[kind] for kind in data if kind not in hidden)]:
        yield "".join(content) if isinstance(content, list) else str(content)


def main(paths: list[str]) -> int:
    """Print every problem of every notebook; return the exit status."""
    found = [f"{path}: {problem}" for path in paths for problem in problems(Path(path))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
