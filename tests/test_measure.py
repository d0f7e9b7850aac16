"""What measures the chapters' runs, and what writes the numbers into the book."""

import sys

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.utils.data import TensorDataset

from helpers import assets, data, models
from tools.measure import groups, groups_backbones, measure_runs, write_tables
from tools.measure.groups import Found, Group

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Run the program with one group of three seeds; return its file, and the seeds it asked."""
    asked, out = [], tmp_path / "runs.csv"

    def one(seed):
        asked.append(seed)
        yield "run", "accuracy", 0.5 + seed / 10

    def run(edition, seeds):
        arguments = ["measure_runs", "--edition", edition, "--seeds", seeds, "--out", str(out)]
        monkeypatch.setattr(sys, "argv", arguments)
        measure_runs.main()
        return out, asked

    monkeypatch.setattr(measure_runs, "GROUPS", [Group("ants and bees", "one", one, seeds=3)])
    monkeypatch.setenv("EDITION", "auto")
    return run


def test_what_is_there_is_not_measured_again(measure):
    measure("rendered", "2")
    out, asked = measure("rendered", "5")
    assert asked == [0, 1, 2]
    runs = write_tables.Runs(write_tables.read_csv(out))
    found = runs.values("ants and bees", "rendered", "run", "accuracy")
    assert found == {0: 0.5, 1: 0.6, 2: 0.7}
    assert not runs.values("ants and bees", "photos", "run", "accuracy")


def test_another_network_than_that_of_the_tables_is_not_measured(measure, tmp_path, monkeypatch):
    weights = assets.Asset("backbone", "photos", tmp_path / "resnet18-f37072fd.pth", "")
    monkeypatch.setattr(assets, "backbone", lambda: weights)
    with pytest.raises(SystemExit, match=r"resnet18-f37072fd\.pth is another network"):
        measure("photos", "1")
    assert not (tmp_path / "runs.csv").exists()


def test_two_models_are_compared_on_the_same_pictures():
    one, other = torch.tensor([True] * 8 + [False] * 2), torch.tensor([True] * 2 + [False] * 8)
    runs = {"one": Found([("one", "test accuracy", 0.8)], one), "other": Found([], other)}
    assert list(groups.compared(runs, [("one", "other")])) == [
        ("one", "test accuracy", 0.8),
        ("one > other", "pictures", 6),
        ("other > one", "pictures", 0),
        ("one ~ other", "p", pytest.approx(2 / 2**6)),
    ]


def test_batch_statistics_only_means_that_the_running_ones_stand_still():
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm)
    groups.still(model)
    outputs = model(5 + torch.randn(8, 3, 6, 6))
    assert norm.running_mean is not None and not norm.running_mean.any()
    assert torch.allclose(outputs.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-5)  # the batch's own


def test_a_box_says_what_was_measured_and_how_many_seeds_it_rests_on():
    rows = [["pictures", "edition", "group", "run", "measure", "seed", "value"]]
    for seed, share in enumerate((0.8, 0.9, 1.0)):
        rows.append(["p", "rendered", "g", "run", "test accuracy", str(seed), str(share)])
    rows += [["p", "rendered", "g", "run ~ head", "p", "0", "0.004"]]
    rows += [["p", "rendered", "g", "run ~ head", "p", "1", "0.2"]]
    box = {
        "pictures": "p",
        "num_pictures": 100,
        "against": "head",
        "about": "About.",
        "columns": [
            ["test", "rendered", "test accuracy", "percent"],
            ["as numbers", "rendered", "test accuracy", "number"],
            ["times", "rendered", "test accuracy", "times"],
            ["interval", "rendered", "test accuracy", "interval"],
            ["not measured", "photos", "test accuracy", "percent"],
        ],
        "rows": [["a run", "run"]],
    }
    runs = write_tables.Runs(rows)
    cells = [f"90.0{NBSP}% (80.0–100.0)", "0.90 (0.80–1.00)", f"0.9{NBSP}×", "82.6–94.5", "–"]
    assert write_tables.box_lines(box, runs) == [
        "|  | test | as numbers | times | interval | not measured |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| a run | {' | '.join(cells)} |",
        "",
        "*About. The mean over 3 seeds, with the lowest and the highest.*",
    ]
    p = box | {"columns": [["p", "rendered", "p", "span"]]}
    assert write_tables.box_lines(p, runs)[2] == f"| a run | <{NBSP}0.01–0.20 |"
    assert write_tables.percent({0: 0.85, 1: 0.85}) == f"85.0{NBSP}%"


BOX = ":::{{admonition}} What we saw\n:class: saw\n:name: saw-one\n\n{}\n\nWhat it means.\n:::\n"


def test_only_the_table_of_a_box_is_replaced():
    lines = {"saw-one": ["| a |", "| --- |", "| 1 |", "", "*Note.*"]}
    new = BOX.format("\n".join(lines["saw-one"]))
    old = BOX.format("| a |\n| --- |\n| 0 |\n| 7 |\n\n*Older note.*")
    for text in (BOX.format("(table)"), old, new):
        assert write_tables.filled("Before.\n" + text + "After.\n", lines) == (
            "Before.\n" + new + "After.\n"
        )


def test_the_nearest_neighbors_are_those_of_scikit_learn():
    inputs, labels, others = torch.randn(40, 6), torch.arange(40) % 2, torch.randn(17, 6)
    found = groups_backbones.nearest(TensorDataset(inputs, labels), others)
    oracle = KNeighborsClassifier(5, metric="cosine").fit(inputs.numpy(), labels.numpy())
    assert found.tolist() == oracle.predict(others.numpy()).tolist()


def test_the_ladder_trains_every_strategy_and_some_pictures_are_as_many_of_each_class():
    strategies = {way.strategy for way in groups_backbones.LADDER.values()}
    assert strategies == set(models.STRATEGIES)
    test = data.cifar10(edition="rendered").split("test")
    labels = [label for _, label in groups_backbones.some(test, 50).dataset]
    assert [labels.count(label) for label in range(10)] == [5] * 10
