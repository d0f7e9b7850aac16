"""What the tests share: small networks and small data, with a ragged last batch."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

matplotlib.use("Agg")

pytest_plugins = ["browsing"]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the book as `make book` does, elsewhere and once; return the folder of the pages."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # several processes: the folder above is that of all
        shared = shared.parent
    out, log = shared / "site", shared / "site.log"
    with FileLock(shared / "site.lock"):
        if not log.exists():
            program = "from jupyter_book.cli.main import main; main()"
            command = [sys.executable, "-c", program, "build", ROOT, "--path-output", out]
            build = subprocess.run(
                [*command, "--all", "-n", "-W", "--keep-going"], capture_output=True, text=True
            )
            failed = build.returncode != 0
            log.write_text(build.stdout[-3000:] + build.stderr[-3000:] if failed else "", "utf8")
    assert not log.read_text("utf8"), log.read_text("utf8")
    return out / "_build" / "html"


def save_picture(path, width=40, height=30, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@contextmanager
def without_rights():
    """Be nobody for a `with` block, if one is root, who may read everything."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def cpu():
    return torch.device("cpu")


@pytest.fixture
def criterion():
    return nn.CrossEntropyLoss()


@pytest.fixture
def examples():
    """Ten examples in three classes: with batches of four, the last holds two."""
    return TensorDataset(torch.randn(10, 5), torch.arange(10) % 3)


@pytest.fixture
def loader(examples):
    return DataLoader(examples, batch_size=4)


@pytest.fixture
def model():
    """A network with a BatchNorm and a Dropout: in training mode it gives other logits."""
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    """No test sees the photographs, the features or the edition of whoever runs it."""
    monkeypatch.setenv("TRANSFER_LEARNING_DATA", str(tmp_path / "photographs"))
    monkeypatch.setenv("TRANSFER_LEARNING_CACHE", str(tmp_path / "features"))
    monkeypatch.delenv("EDITION", raising=False)
