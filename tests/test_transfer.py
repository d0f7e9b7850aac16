"""The script to take home: it trains as `helpers` does, bit by bit, and stands on its own feet."""

import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from functools import partial
from pathlib import Path

import pytest
import torch
import transfer
from safetensors.torch import load_file

from helpers import assets, data
from helpers.models import changed, snapshot
from helpers.recipe import train_network
from helpers.training import evaluate

SCRIPT = Path(transfer.__file__)
WEIGHTS = assets.RENDERED["backbone"].path
PICTURES = assets.RENDERED["ants_bees"].path
SIZE = 80  # at less, `helpers` would make these pictures of 160 pixels smaller beforehand
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
        model = transfer.train(few, WEIGHTS, size=SIZE, seed=3)
    return model, place, output.getvalue()


def command(monkeypatch, *arguments):
    """Run the script in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_it_is_short_and_needs_no_helpers():
    text = SCRIPT.read_text("utf8")
    assert len(text.splitlines()) <= 150
    assert "helpers" not in text


def test_the_batches_are_those_of_the_book(few):
    parts = ["train", "val", "train", "val", "test"]  # each draws from the same random numbers
    torch.manual_seed(3)
    loaders = transfer.make_loaders(few, SIZE, seed=3)
    own = [batch for part in parts for batch in loaders[part]]
    torch.manual_seed(3)
    others = data.image_folders(few, size=SIZE, seed=3)
    theirs = [batch for part in parts for batch in others.part(part)]
    assert [len(labels) for _, labels in own[:5]] == [16, 2, 10, 16, 2]
    for (inputs, labels), (other_inputs, other_labels) in zip(own, theirs, strict=True):
        assert torch.equal(inputs, other_inputs) and torch.equal(labels, other_labels)


def test_the_training_and_its_report_are_those_of_the_book(few, trained, cpu, criterion):
    model, _, output = trained
    load = partial(data.image_folders, few, size=SIZE, seed=3)
    other, loaders, history = train_network(load, weights=WEIGHTS, num_epochs=2, seed=3)
    assert not changed(model, snapshot(other))
    expected = [
        f"epoch  {epoch}/2   train {loss:.4f} {accuracy:6.1%}   val {val_loss:.4f} {val:6.1%}"
        for epoch, loss, accuracy, val_loss, val in zip(
            (1, 2), history.train_loss, history.train_accuracy,
            history.val_loss, history.val_accuracy, strict=True,
        )
    ]  # fmt: skip
    test = evaluate(other, loaders.test, criterion, cpu)
    assert output.splitlines() == [
        *expected,
        f"validation, best epoch: {max(history.val_accuracy):.1%}   chosen on these pictures",
        f"validation, last epoch: {history.val_accuracy[-1]:.1%}   fixed beforehand",
        f"test: {test.accuracy:.1%}",
    ]


def test_the_weights_of_the_best_epoch_are_kept_while_others_follow(monkeypatch):
    accuracies = iter([0.5, 0.9, 0.9, 0.7])
    model = transfer.make_model(2, WEIGHTS)

    def run_epoch(model, loader, optimizer=None):
        if optimizer is None:
            return 0.0, next(accuracies)
        optimizer.step()  # of which nothing comes, as there is no gradient
        model.fc.bias.data += 1
        return 0.0, 0.0

    monkeypatch.setattr(transfer, "run_epoch", run_epoch)
    monkeypatch.setattr(transfer, "NUM_EPOCHS", 4)
    start = model.fc.bias.clone()
    assert transfer.fit(model, None, None) == [0.5, 0.9, 0.9, 0.7]
    assert torch.equal(model.fc.bias, start + 1 + 1)


def test_a_new_process_says_what_the_model_in_memory_says(trained, few, monkeypatch, capsys):
    model, place, _ = trained
    picture = next((few / "test" / "bees").glob("*.jpg"))
    inputs = transfer.make_transform(SIZE, augment=False)(transfer.open_picture(picture))
    with torch.no_grad():
        probability, label = model.eval()(inputs[None])[0].softmax(dim=0).max(dim=0)
    name, probability = ["ants", "bees"][label], probability.item()
    program = f"import transfer; print(*transfer.predict({str(picture)!r}))"
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}
    output = subprocess.check_output([sys.executable, "-c", program], cwd=place, env=environment)
    said, said_probability = output.decode().split()
    assert said == name and float(said_probability) == pytest.approx(probability, abs=1e-6)
    monkeypatch.chdir(place)
    command(monkeypatch, "--predict", picture)
    assert capsys.readouterr().out == f"{name} {probability:.1%}\n"


def test_what_is_missing_is_named(trained, tmp_path, monkeypatch, capsys):
    picture = next(PICTURES.glob("test/bees/*.jpg"))
    for place, arguments, missing in [
        (trained[1], ["--predict", "nowhere.jpg"], "nowhere.jpg"),
        (tmp_path, ["--predict", picture], "model.json"),
        (tmp_path, ["nowhere"], "nowhere"),
    ]:
        monkeypatch.chdir(place)
        with pytest.raises(SystemExit, match="2"):
            command(monkeypatch, *arguments)
        message = capsys.readouterr().err
        assert re.search(rf"error: .*No such file or directory: .*{missing}", message)


def test_weights_come_in_two_kinds_of_file_and_without_their_head(tmp_path):
    state = load_file(WEIGHTS)
    torch.save(state, tmp_path / "weights.pth")
    model = transfer.make_model(3, tmp_path / "weights.pth")
    assert changed(model, snapshot(transfer.make_model(3, WEIGHTS))) == ["fc.weight", "fc.bias"]
    assert torch.equal(model.conv1.weight, state["conv1.weight"])
    torch.save({"conv1.weight": state["conv1.weight"]}, tmp_path / "part.pth")
    with pytest.raises(RuntimeError, match=r"Missing key.*bn1\.weight"):
        transfer.make_model(3, tmp_path / "part.pth")


def test_parts_must_have_the_same_classes(few, tmp_path):
    shutil.copytree(few, tmp_path, dirs_exist_ok=True)
    (tmp_path / "val" / "bees").rename(tmp_path / "val" / "wasps")
    with pytest.raises(ValueError, match=r"val needs the class folders of train"):
        transfer.make_loaders(tmp_path, SIZE, seed=0)
