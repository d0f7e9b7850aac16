"""What measures the chapters' runs, and what writes the numbers into the book."""

import csv
import sys
from functools import partial

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.utils.data import TensorDataset

from helpers import assets, data, models
from tools.measure import groups, groups_backbones, measure_runs, write_tables
from tools.measure.groups import Group


def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch, capsys):
    asked = []

    def measure(seed):
        asked.append(seed)
        yield "run", "accuracy", 0.5 + seed / 10

    groups = [Group("ants and bees", "one", measure, seeds=3)]
    monkeypatch.setattr(measure_runs, "GROUPS", groups)
    monkeypatch.setenv("EDITION", "auto")
    for seeds in ("2", "5"):
        out = str(tmp_path / "runs.csv")
        arguments = ["measure_runs.py", "--edition", "rendered", "--seeds", seeds, "--out", out]
        monkeypatch.setattr(sys, "argv", arguments)
        measure_runs.main()
    assert asked == [0, 1, 2]
    runs = write_tables.Runs(tmp_path / "runs.csv")
    found = runs.values("ants and bees", "rendered", "run", "accuracy")
    assert found == {0: 0.5, 1: 0.6, 2: 0.7}
    assert not runs.values("ants and bees", "photos", "run", "accuracy")


def test_another_network_than_that_of_the_tables_is_not_measured(tmp_path, monkeypatch):
    weights = assets.Asset("backbone", "photos", tmp_path / "resnet18-f37072fd.pth", "")
    monkeypatch.setattr(assets, "backbone", lambda: weights)
    monkeypatch.setattr(measure_runs, "GROUPS", [])
    monkeypatch.setenv("EDITION", "auto")
    out = tmp_path / "runs.csv"
    monkeypatch.setattr(sys, "argv", ["measure_runs.py", "--edition", "photos", "--out", str(out)])
    with pytest.raises(SystemExit, match=r"resnet18-f37072fd\.pth is another network"):
        measure_runs.main()
    assert not out.exists()


def test_two_models_are_compared_on_the_same_pictures():
    one, other = torch.tensor([True] * 8 + [False] * 2), torch.tensor([True] * 2 + [False] * 8)
    found = [("one", "right", one), ("other", "right", other), ("one", "test accuracy", 0.8)]
    rows = list(groups.compared(found, [("one", "other")]))
    assert rows == [
        ("one", "test accuracy", 0.8),
        ("one > other", "pictures", 6),
        ("other > one", "pictures", 0),
        ("one ~ other", "p", pytest.approx(2 / 2**6)),
    ]


def test_batch_statistics_only_means_that_the_running_ones_stand_still():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    groups.still(model)
    outputs = model(5 + torch.randn(8, 3, 6, 6))
    assert torch.equal(model[1].running_mean, torch.zeros(4))
    assert torch.allclose(outputs.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-5)  # the batch's own


def test_shares_and_numbers_are_written_with_their_spread():
    assert write_tables.percent({0: 0.97, 1: 0.95}) == "96.0\N{NO-BREAK SPACE}% (95.0–97.0)"
    assert write_tables.percent({0: 0.85, 1: 0.85}) == "85.0\N{NO-BREAK SPACE}%"
    assert write_tables.number({0: 0.117, 1: 0.123}) == "0.12 (0.12–0.12)"


BOX = ":::{{admonition}} What we saw\n:class: saw\n:name: saw-one\n\n{}\n\nWhat it means.\n:::\n"


def test_only_the_table_of_a_box_is_replaced():
    lines = {"saw-one": ["| a |", "| --- |", "| 1 |", "", "*Note.*"]}
    new = BOX.format("\n".join(lines["saw-one"]))
    old = BOX.format("| a |\n| --- |\n| 0 |\n| 7 |\n\n*Older note.*")
    for text in (BOX.format("(table)"), old, new):
        assert write_tables.filled("Before.\n" + text + "After.\n", lines) == (
            "Before.\n" + new + "After.\n"
        )


def test_a_box_says_how_many_seeds_it_rests_on(tmp_path):
    path = tmp_path / "runs.csv"
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(measure_runs.COLUMNS)
        for seed, share in enumerate((0.8, 0.9, 1.0)):
            writer.writerow(["p", "rendered", "g", "run", "test accuracy", seed, share])
    column = write_tables.Column("rendered, test", "rendered", "test accuracy")
    box = write_tables.Box("p", {"a run": "run", "not measured": "none"}, [column], "About.")
    assert box.lines(write_tables.Runs(path)) == [
        "|  | rendered, test |",
        "| --- | --- |",
        "| a run | 90.0\N{NO-BREAK SPACE}% (80.0–100.0) |",
        "| not measured | – |",
        "",
        "*About. The mean over 3 seeds, with the lowest and the highest.*",
    ]


def test_the_nearest_neighbors_are_those_of_scikit_learn():
    inputs, labels, others = torch.randn(40, 6), torch.arange(40) % 2, torch.randn(17, 6)
    found = groups_backbones.nearest(TensorDataset(inputs, labels), others)
    oracle = KNeighborsClassifier(5, metric="cosine").fit(inputs.numpy(), labels.numpy())
    assert found.tolist() == oracle.predict(others.numpy()).tolist()


def test_every_rung_of_the_ladder_is_one_that_can_be_trained():
    strategies = {way.strategy for way in groups_backbones.LADDER.values()}
    assert strategies == set(models.STRATEGIES)


def test_rates_are_tried_on_training_pictures_that_were_not_learned_from():
    load = partial(data.ants_bees, edition="rendered", size=32)
    whole = load(augment=False)
    loaders = groups_backbones.all_but_a_quarter(load, seed=0)
    learned, apart = (set(part.dataset.indices) for part in (loaders.train, loaders.val))
    assert learned | apart == set(range(len(whole.train.dataset))) and not learned & apart
    assert [loaders.val.dataset[i][1] for i in range(len(apart))].count(0) == len(apart) // 2
    first = min(apart)
    place = loaders.val.dataset.indices.index(first)
    assert torch.equal(loaders.val.dataset[place][0], whole.train.dataset[first][0])  # not cropped
    other = groups_backbones.all_but_a_quarter(load, seed=1)
    assert set(other.val.dataset.indices) != apart


def test_some_pictures_are_as_many_of_each_class():
    test = data.cifar10(edition="rendered").test
    labels = [label for _, label in groups_backbones.some(test, 50).dataset]
    assert [labels.count(label) for label in range(10)] == [5] * 10
