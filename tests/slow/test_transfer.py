"""The script to take home, whole: it ends where chapter 4 ends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_notebooks import printed

from book import transfer
from helpers import assets

BOOK = Path(transfer.__file__).parent
PICTURES = assets.ants_bees("rendered").path
WEIGHTS = assets.backbone("rendered").path


def test_it_ends_where_chapter_4_ends_and_names_a_picture(tmp_path):
    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).splitlines()

    options = ["--weights", WEIGHTS, "--size", "96"]
    lines = run(BOOK / "transfer.py", PICTURES, *options)
    test = re.fullmatch(r"test: ([\d.]+)%", lines[-1])[1]
    # Other machines and numbers of threads round differently.
    assert float(test) == pytest.approx(float(printed(4, "test: ")), abs=5)
    assert json.loads((tmp_path / "model.json").read_text())["class_names"] == ["ants", "bees"]
    (said,) = run(BOOK / "predict.py", PICTURES / "train" / "bees" / "bee_0001.jpg")
    assert re.fullmatch(r"bees [\d.]+%", said)
