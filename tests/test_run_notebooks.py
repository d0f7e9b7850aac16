"""Notebooks are stored with what a reader needs, and nothing that a kernel or an editor left."""

import io
import json
from base64 import b64decode, b64encode

import nbformat
from PIL import Image

from tools.measure import run_notebooks
from tools.measure.check_notebooks import problems

CELLS = [
    "import os, sys\nfrom helpers import explorers\nexplorers.luck()",
    "from helpers.runtime import progress\nfor _ in progress([1], 'loop'):\n    print('once')",
    "%config InlineBackend.figure_formats = ['svg', 'png']\n"
    "import matplotlib.pyplot as plt\nplt.figure(figsize=(9, 3)).gca().plot([1, 2]);",
]


def test_a_notebook_is_stored_whole_and_clean(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, metadata={"tags": ["x"], "collapsed": True})
               for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "P"}, "toc": {}},
    )  # fmt: skip
    nbformat.write(notebook, path)
    monkeypatch.setattr(run_notebooks.os, "environ", dict(run_notebooks.os.environ))
    run_notebooks.main([str(path)])
    assert list(problems(path)) == []
    stored = json.loads(path.read_text("utf8"))
    explorer, loop, figure = (cell["outputs"] for cell in stored["cells"])
    assert set(explorer[0]["data"]) == {"text/plain", "text/html"}
    assert "".join(loop[0]["text"]) == "once\n" and len(loop) == 1
    assert all(cell["metadata"] == {"tags": ["x"]} for cell in stored["cells"])
    data = figure[0]["data"]
    with Image.open(io.BytesIO(b64decode("".join(data["image/png"])))) as png:
        assert png.width == run_notebooks.WIDTH and png.mode == "P"
    assert "image/svg+xml" in data


def test_a_smaller_png_shows_the_same():
    image = Image.effect_noise((800, 400), 60).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((800, 400)))
    file = io.BytesIO()
    image.save(file, "png")
    small = run_notebooks.smaller(b64encode(file.getvalue()).decode())
    with Image.open(io.BytesIO(b64decode(small))) as shown:
        assert shown.size == (500, 250)
        alpha = shown.convert("RGBA").getchannel("A").resize((1, 5)).tobytes()
    assert list(alpha) == sorted(alpha) and alpha[0] < 60 < 190 < alpha[4]
