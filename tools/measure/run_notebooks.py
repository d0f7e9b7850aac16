"""Run notebooks from top to bottom and store them as the book wants them.

    EDITION=rendered python -m tools.measure.run_notebooks notebooks/01_theory.ipynb

They run on one thread and without what only newer processors have (AVX-512): with it, the same run
of chapter 4 gave another accuracy. So on another x86 machine they agree with `book/runs.csv`, too.

Stored are the outputs of the rendered edition, without what an editor or a kernel leaves, and
without progress bars. Of what moves, the page is stored and not the widget, which nothing can show
without its kernel.
"""

import io
import os
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from tools.measure.check_notebooks import CELL_METADATA
from tools.measure.write_tables import write_text

WIDTH, COLORS = 500, 256  # of a PNG
SETTINGS = {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
SETTINGS |= {"EXPLORERS": "page", "TQDM_DISABLE": "1"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def smaller(png: str) -> str:
    """Make a PNG (base64) smaller: it stands in where an SVG can't be shown."""
    with Image.open(io.BytesIO(b64decode(png))) as image:
        image = image.convert("RGBA")
    image.thumbnail((WIDTH, 2 * WIDTH))
    file = io.BytesIO()
    image.quantize(COLORS, Image.Quantize.FASTOCTREE).save(file, "png", optimize=True)
    return b64encode(file.getvalue()).decode()


def run(path: Path) -> None:
    """Run a notebook and replace it."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=900, resources=place, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA & cell.metadata.keys()}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/svg+xml" in data and "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
    notebook.metadata = METADATA
    write_text(path, nbformat.writes(notebook) + "\n")


def main(paths: list[str]) -> None:
    """Run each of them."""
    os.environ |= SETTINGS  # kernels inherit them
    for path in paths:
        start = time.perf_counter()
        run(Path(path))
        print(f"{path}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
