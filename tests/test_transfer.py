"""The scripts to take home: they train as `helpers` does, bit by bit, and need none of it."""

import io
import json
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from book import transfer
from helpers import assets, data
from helpers.metrics import predict
from helpers.models import changed, snapshot
from helpers.pictures.decode import open_picture
from helpers.recipe import train_network
from helpers.training import evaluate

BOOK = Path(transfer.__file__).parent
PREDICT = BOOK / "predict.py"
WEIGHTS = assets.backbone("rendered").path
PICTURES = assets.ants_bees("rendered").path
SIZE = 80  # at less, `helpers` would make these pictures of 160 pixels smaller beforehand
PIXELS = np.random.default_rng(0).integers(0, 256, (90, 120, 4), dtype=np.uint8)
RGBA = Image.fromarray(PIXELS * np.where(PIXELS[..., 3:] > 99, 1, [1, 1, 1, 0]).astype(np.uint8))
COUNTS = {"train": 9, "val": 5, "test": 2}  # of each class: the last batch of training has two


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with a few of the pictures."""
    root = tmp_path_factory.mktemp("few")
    for part, count in COUNTS.items():
        for folder in sorted((PICTURES / part).iterdir()):
            (root / part / folder.name).mkdir(parents=True)
            for picture in sorted(folder.glob("*.jpg"))[:count]:
                shutil.copy(picture, root / part / folder.name)
    return root


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    """Train for two epochs; return the model in memory, where it was written, and the output."""
    place, output = tmp_path_factory.mktemp("trained"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, chdir(place), redirect_stdout(output):
        patch.setattr(transfer, "NUM_EPOCHS", 2)
        model = transfer.train(few, str(WEIGHTS), size=SIZE, seed=3)
    return model, place, output.getvalue()


def test_they_are_short_and_need_no_helpers():
    text = (BOOK / "transfer.py").read_text("utf8")
    assert len(text.splitlines()) <= 90 and len(PREDICT.read_text("utf8").splitlines()) <= 30
    assert "helpers" not in text + PREDICT.read_text("utf8")


def test_the_batches_are_those_of_the_book(few):
    torch.manual_seed(3)
    loaders = [transfer.make_loader(few / p, SIZE, 3, training=p == "train") for p in COUNTS]
    own = [batch for loader in loaders for batch in loader]
    torch.manual_seed(3)
    theirs = [
        batch for loader in data.image_folders(few, size=SIZE, seed=3)[:3] for batch in loader
    ]
    assert [len(labels) for _, labels in own] == [16, 2, 10, 4]
    for (inputs, labels), (other_inputs, other_labels) in zip(own, theirs, strict=True):
        assert torch.equal(inputs, other_inputs) and torch.equal(labels, other_labels)


def test_the_training_and_its_report_are_those_of_the_book(few, trained, cpu, criterion):
    model, _, output = trained
    load = partial(data.image_folders, few, size=SIZE, seed=3)
    other, loaders, history = train_network(load, weights=WEIGHTS, num_epochs=2, seed=3)
    assert not changed(model, snapshot(other))
    pairs = zip(history.train_accuracy, history.val_accuracy, strict=True)
    lines = [f"training {100 * train:.1f} %, validation {100 * val:.1f} %" for train, val in pairs]
    test = evaluate(other, loaders.test, criterion, cpu).accuracy
    lines = [f"epoch  {epoch}: {line}" for epoch, line in enumerate(lines, start=1)]
    assert output.splitlines() == [*lines, f"test: {100 * test:.1f} %"]


def test_the_weights_of_the_best_epoch_are_kept(few, tmp_path, monkeypatch):
    accuracies, biases = iter([0.5, 0.9, 0.9, 0.7, 0.0]), []

    def run_epoch(model, loader, optimizer=None):
        if optimizer is None:
            return next(accuracies)
        optimizer.step()  # of which nothing comes, as there is no gradient
        model.fc.bias.data += 1
        biases.append(model.fc.bias.clone())
        return 0.0

    monkeypatch.setattr(transfer, "run_epoch", run_epoch)
    monkeypatch.setattr(transfer, "NUM_EPOCHS", 4)
    monkeypatch.chdir(tmp_path)
    model = transfer.train(few, str(WEIGHTS), size=SIZE, seed=0)
    assert torch.equal(model.fc.bias, biases[1])
    assert torch.equal(load_file("model.safetensors")["fc.bias"], biases[1])


def ask(place, *paths):
    command = [sys.executable, PREDICT, *paths]
    return subprocess.run(command, cwd=place, capture_output=True, text=True)


def test_a_new_process_says_what_the_model_in_memory_says(trained, few, cpu):
    model, place, _ = trained
    loaders = data.image_folders(few, size=SIZE)
    logits, _ = predict(model, loaders.test, cpu)
    probabilities, labels = logits.softmax(dim=1).max(dim=1)
    paths = [path for name in ("ants", "bees") for path in sorted(few.glob(f"test/{name}/*"))]
    assert ask(place, *paths).stdout.splitlines() == [
        f"{('ants', 'bees')[label]} {100 * probability:.1f} %"
        for label, probability in zip(labels, probabilities, strict=True)
    ]
    card = json.loads((place / "model.json").read_text("utf8"))
    assert card["class_names"] == ["ants", "bees"] and card["size"] == SIZE


ODD = {  # a cut-out, 16 bits of gray, a palette with a hole, four inks, turned by its camera
    "cut-out.png": RGBA,
    "x-ray.png": Image.fromarray(257 * PIXELS[..., 0].astype(np.uint16)),
    "logo.png": RGBA.quantize(8),
    "print.jpg": RGBA.convert("CMYK"),
    "phone.jpg": RGBA.convert("RGB"),
}


@pytest.mark.parametrize(("name", "image"), ODD.items(), ids=ODD)
def test_every_script_opens_a_picture_as_the_book_does(trained, tmp_path, name, image, cpu):
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / name, **({"exif": exif} if name == "phone.jpg" else {}))
    theirs = torch.from_numpy(np.array(transfer.open_picture(tmp_path / name))).permute(2, 0, 1)
    ours = open_picture(tmp_path / name, short_side=1000)
    assert theirs.equal(ours)
    model, place, _ = trained
    prepare = data.image_folders(PICTURES, size=SIZE).val.dataset
    probability = model.eval()(prepare.per_batch(prepare.per_picture(ours)[None])).softmax(1).max()
    assert ask(place, tmp_path / name).stdout.split()[1] == f"{100 * probability:.1f}"


def test_what_is_missing_is_named(trained, few, tmp_path):
    assert "nowhere.jpg" in ask(trained[1], "nowhere.jpg").stderr
    assert "model.json" in ask(tmp_path, next(few.glob("test/bees/*"))).stderr
    with pytest.raises(FileNotFoundError, match="nowhere"):
        transfer.train(tmp_path / "nowhere", str(WEIGHTS), size=SIZE, seed=0)
