"""Chapters 4 and 5 on pictures of one's own: only the line that loads them is another."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = ("beetles", "spiders", "wasps")


def draw_all(root, splits):
    """Draw so many pictures of 40 × 32 pixels a class and split: a color a class, and noise."""
    rng = np.random.default_rng(0)
    for split, count in splits.items():
        for label, name in enumerate(NAMES):
            for k in range(count):
                pixels = rng.integers(0, 128, (32, 40, 3), dtype=np.uint8)
                pixels[..., label] += 100
                path = root / split / name / f"{k}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("chapter", "splits", "sizes"),
    [
        ("04_ants_bees_finetuning", {".": 10}, [24, 6]),
        ("05_frozen_backbone", {"train": 8, "val": 3, "test": 3}, [24, 9, 9]),
    ],
)
def test_the_chapter_works_on_ones_own_pictures(tmp_path, monkeypatch, chapter, splits, sizes):
    """One chapter splits the classes itself, the other finds them split in three."""
    monkeypatch.chdir(NOTEBOOKS)
    draw_all(root := tmp_path / "my pictures", splits)
    cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
    line = "folder = assets.ants_bees().path"
    assert sum(line in cell.source for cell in cells) == 1
    names = {}
    for cell in cells:
        if cell.cell_type != "code":
            continue
        source = cell.source.replace(line, f"folder = {str(root)!r}")
        exec(source.replace("%config", "# %config"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"size": 32, "num_epochs": 3}  # chapter 5 also trains a quarter, at least one
    plt.close("all")
    loaders = names["loaders"]
    assert loaders.class_names == list(NAMES) and names["model"].fc.out_features == 3
    assert [len(loader.dataset) for loader in loaders[:3] if loader] == sizes
    history = names["history"] if "history" in names else names["histories"]["fine-tuned"]
    assert max(history.val_accuracy) > 0.5  # a guesser: 0.33
