"""Run notebooks from top to bottom and store them as the book wants them.

    EDITION=rendered OMP_NUM_THREADS=1 python tools/run_notebooks.py notebooks/01_theory.ipynb

Stored are the outputs of the rendered edition, without what an editor or a kernel leaves, and
without progress bars. Of what moves, the page is stored and not the widget, which nothing can show
without its kernel.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from check_notebooks import CELL_METADATA
from nbclient import NotebookClient

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(path: Path) -> None:
    """Run a notebook and replace it."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=900, resources=place, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA & cell.metadata.keys()}
    notebook.metadata = METADATA
    nbformat.write(notebook, path)


def main(paths: list[str]) -> None:
    """Run each of them."""
    os.environ |= {"EXPLORERS": "page", "TQDM_DISABLE": "1"}  # kernels inherit them
    for path in paths:
        start = time.perf_counter()
        run(Path(path))
        print(f"{path}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
