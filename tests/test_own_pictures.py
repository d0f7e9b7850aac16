"""Chapters 4 and 5 on pictures of one's own: only the line that loads them is another."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

from helpers import data

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = ("beetles", "spiders", "wasps")


def draw(path, label, seed):
    """One color a class, and noise, 40 × 32 pixels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 128, (32, 40, 3), dtype=np.uint8)
    pixels[..., label] += 100
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def draw_all(root, parts):
    for i, (part, count) in enumerate(parts.items()):
        for label, name in enumerate(NAMES):
            for k in range(count):
                draw(root / part / name / f"{k}.jpg", label, seed=1000 * i + 100 * label + k)
    return root


LAYOUTS = {
    "classes alone": {".": 10},
    "parts": {"train": 8, "val": 3, "test": 3},
}


@pytest.mark.parametrize("parts", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("chapter", ["04_ants_bees_finetuning", "05_frozen_backbone"])
def test_the_chapter_works_on_ones_own_pictures(tmp_path, capsys, monkeypatch, chapter, parts):
    monkeypatch.chdir(NOTEBOOKS)
    root = draw_all(tmp_path / "my pictures", parts)
    cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
    line = "folder = assets.ants_bees().path"
    assert sum(line in cell.source for cell in cells) == 1
    names = {}
    for cell in cells:
        if cell.cell_type != "code":
            continue
        source = cell.source.replace(line, f"folder = {str(root)!r}").replace(
            "%config", "# %config"
        )
        exec(source, names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"size": 32, "num_epochs": 4}
    plt.close("all")
    assert names["loaders"].class_names == list(NAMES)
    assert names["model"].fc.out_features == 3
    history = names["history"] if "history" in names else names["histories"]["fine-tuned"]
    assert max(history.val_accuracy) > 0.5  # a guesser: 0.33
    assert (names["loaders"].test is not None) == ("test" in parts)
    if chapter.startswith("04"):
        assert f"train  {[parts.get('train', 8)] * 3}" in capsys.readouterr().out


def test_pictures_are_split_for_the_chapters_as_promised(tmp_path):
    loaders = data.image_folders(draw_all(tmp_path, {".": 10}), size=32)
    assert len(loaders.train.dataset) == 24 and len(loaders.val.dataset) == 6
