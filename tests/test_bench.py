"""The benchmark in tools/bench: its arithmetic, its records, and that its methods run."""

import csv
import inspect
import json
import math
import os
import pickle
import re
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_picture

from helpers import assets, data, models
from helpers.features import extract_features
from helpers.recipe import fine_tune, fit_logistic_regression, train_network
from tools.bench import book, hardware, protocol, report, run
from tools.measure import groups_backbones


def record(method, seed, epochs, work="frozen", **end):
    """Make up a run from its (seconds, accuracy) after each epoch."""
    lines = [
        {"epoch": epoch, "seconds": seconds, "val_accuracy": accuracy}
        for epoch, (seconds, accuracy) in enumerate(epochs, 1)
    ]
    end = {"peak_mb": 100.0 + seed, "worker_peak_mb": 0.0, "size": 96, "batch_size": 16} | end
    key = {"work": work, "method": method, "seed": seed, "threads": 2, "backbone": "resnet18"}
    return key | {"day": "2026-01-01", "lines": lines, "end": end}


QUICK, LOST = "this book", "fastai, 96 px"


@pytest.fixture
def records():
    """Source: last accuracies .6 and .8, so .7 is to be reached; it does after 20 and 36 s."""
    return [
        record(QUICK, 0, [(1, 0.6), (2, 0.75)]),
        record(LOST, 0, [(5, 0.1), (10.4, 0.69)]),
        record(report.SOURCE, 0, [(10, 0.5), (20, 0.7), (130, 0.6)], worker_peak_mb=55.0),
        record(QUICK, 1, [(1, 0.7), (2, 0.9)]),
        record(report.SOURCE, 1, [(12, 0.4), (24, 0.6), (36, 0.8)]),
        record(QUICK, 2, [(1, 0.1), (2, 0.2)]),
    ]


def test_the_summary_agrees_with_counting_by_hand(records):
    quick, lost, source = report.summarize(records, "frozen")
    # The original's loops are there after 28 s, in the median; this book after 2.
    spread = "61.7\N{NO-BREAK SPACE}% (20.0–90.0)"
    assert quick == [QUICK, "3", "2.0 (1.0–never); 2 of 3", "2.0", "14", spread, "102"]
    assert lost[1:6] == ["1", "never; 0 of 1", "10", "", "69.0\N{NO-BREAK SPACE}%"]
    assert source[1:4] == ["2", "28 (20–36)", "83 (36–130)"] and source[4] == "1.0"
    assert source[5:] == ["70.0\N{NO-BREAK SPACE}% (60.0–80.0)", "101; workers 55 each"]
    assert len(quick) == len(report.COLUMNS)


def test_what_was_not_reached_or_not_timed_has_no_number():
    source = [
        record(report.SOURCE, 0, [(10, 0.5), (20, 0.6)]),  # of .7: counts with all its time
        record(report.SOURCE, 1, [(10, 0.8), (40, 0.8)]),
    ]
    beside = record(LOST, 0, [(3, 0.9)]) | {"timed": False}
    runs = [*source, record(QUICK, 0, [(5, 0.7)]), beside]
    first, mine, lost = report.summarize(runs, "frozen")
    assert first[2] == "never (10–never); 1 of 2"
    assert mine[4] == "3.0"  # the median of 20 and 10, over 5
    assert lost[1:5] == ["1, 0 timed", "", "", ""]
    (alone,) = report.summarize([record(QUICK, 0, [(1, 0.6)], work="cifar10")], "cifar10")
    assert alone[2] == alone[4] == ""


def test_numbers_are_written_with_two_digits():
    values = [math.inf, 0.123, 1.234, 9.96, 12.54, 99.6, 123.4, 369, 1254.5]
    written = ["never", "0.12", "1.2", "10", "13", "100", "120", "370", "1300"]
    assert list(map(report.number, values)) == written
    assert report.times([3, 2, 12.4]) == "3.0 (2.0–12)" and report.times([221, 222, 224]) == "220"


def test_tables_and_figure_come_from_the_records_alone(records, tmp_path):
    raw = tmp_path / "deep" / "raw.jsonl"
    for work in report.TITLES:
        for one in records:
            report.append(raw, one | {"work": work})
    assert len(report.read(raw)) == len(report.TITLES) * len(records)
    report.report(raw, tmp_path)
    with (tmp_path / "bench_frozen.csv").open(encoding="utf8") as file:
        assert list(csv.reader(file)) == [report.COLUMNS, *report.summarize(records, "frozen")]
    figure = (tmp_path / "figures" / "bench.svg").read_text("utf8")
    assert float(re.search(r'<svg[^>]* width="([\d.]+)pt"', figure)[1]) < 390  # fits a phone


def test_every_method_and_every_work_has_its_place_in_the_figure():
    assert {method.name for method in run.METHODS} == set(report.STYLES)
    assert list(run.WORKS) == list(report.TITLES)
    assert {task for task, _ in run.WORKS.values()} == set(protocol.TASKS)


@pytest.fixture(scope="module")
def tiny_pictures(tmp_path_factory):
    """Nine pictures to learn from, five to validate with, and a CIFAR-10 of twenty a file."""
    root, seed = tmp_path_factory.mktemp("tiny"), 0
    for split, counts in {"train": (5, 4), "val": (2, 3)}.items():
        for name, count in zip(("ants", "bees"), counts, strict=True):
            for k in range(count):
                save_picture(root / split / name / f"{k}.png", seed=(seed := seed + 1))
    folder, rng = root / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir()
    for name in (*(f"data_batch_{b}" for b in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        batch = {"data": pixels, "labels": [k % 10 for k in range(20)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": list(assets.CIFAR10_CLASSES)}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return root


@pytest.mark.parametrize(
    ("module", "task", "backbone", "workers"),
    [
        ("plain_pytorch", "fine-tuned", "resnet18", os.cpu_count()),
        ("source_loops", "cifar10", protocol.LITE0, 0),
    ],
)
def test_a_method_prints_the_lines_of_the_protocol(module, task, backbone, workers, tiny_pictures):
    options = ["--data", tiny_pictures, "--task", task, "--backbone", backbone, "--epochs", 1]
    line, end = run.json_lines(Path(sys.executable), module, [*map(str, options)], threads=1)
    assert line["epoch"] == 1 and line["seconds"] > 0
    count = 20 if task == "cifar10" else 5
    assert (line["val_accuracy"] * count) % 1 == pytest.approx(0, abs=1e-3)
    assert end["peak_mb"] > 100 and end["workers"] == workers
    assert (end["worker_peak_mb"] > 0) == (workers > 0)


def call(task, pictures, capsys, **options):
    """Run the book's method in this process; return what its lines say."""
    args = {"data": pictures, "task": task.__name__, "backbone": "resnet18", "epochs": 2, "seed": 0}
    clock = protocol.Run()
    torch.manual_seed(0)
    task(Namespace(**args | {"size": 64, "strategy": "all"} | options), clock)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    times = [line["seconds"] for line in lines]
    assert times[0] > 0 and times == sorted(times) and times[-1] <= clock.seconds()
    return [line["val_accuracy"] for line in lines]


@pytest.mark.parametrize("strategy", book.LITE_RATES)
def test_the_book_fine_tunes_lite0_as_chapter_7_does(strategy, tiny_pictures, capsys):
    options = {"backbone": protocol.LITE0, "strategy": strategy}
    found = call(book.fine_tuned, tiny_pictures, capsys, **options)
    statistics = data.statistics(models.build(protocol.LITE0, 2))
    load = partial(data.image_folders, tiny_pictures, size=64, **statistics)
    rate = groups_backbones.LADDER[strategy].lite_lr
    *_, history = fine_tune(load, protocol.LITE0, strategy, num_epochs=2, lr=rate, head_lr=rate)
    assert found == pytest.approx(history.val_accuracy, abs=1e-4)


def test_the_book_fine_tunes_resnet18_as_chapter_4_does(tiny_pictures, capsys):
    found = call(book.fine_tuned, tiny_pictures, capsys)
    *_, history = train_network(partial(data.image_folders, tiny_pictures, size=64), num_epochs=2)
    assert found == pytest.approx(history.val_accuracy, abs=1e-4)


def test_the_book_s_frozen_lite0_has_the_best_head(tiny_pictures, capsys):
    (found,) = call(book.frozen, tiny_pictures, capsys, backbone=protocol.LITE0)
    model = models.build(protocol.LITE0, 2)
    loaders = data.image_folders(tiny_pictures, size=64, augment=False, **data.statistics(model))
    head = fit_logistic_regression(extract_features(model, loaders.train, book.CPU), 2)
    inputs, labels = extract_features(model, loaders.val, book.CPU).tensors
    share = (head(inputs).argmax(dim=1) == labels).float().mean().item()
    assert found == pytest.approx(share, abs=1e-4)


def test_the_book_s_other_methods_run(tiny_pictures, capsys, monkeypatch):
    monkeypatch.setattr(assets, "photographs_folder", assets.photographs_folder)  # put back
    assert len(call(book.frozen, tiny_pictures, capsys)) == 2
    assert len(call(book.cifar10, tiny_pictures, capsys, size=32)) == 2
    assert len(call(book.averaged, tiny_pictures, capsys)) == 1


def test_both_ways_is_the_mean_of_a_picture_and_its_mirror_image():
    def lean(inputs):  # from left to right, and twice as sure
        return torch.stack([inputs[:, 0, 0, 0], 2 * inputs[:, 0, 0, -1]], dim=1)

    inputs = torch.randn(5, 3, 4, 4)
    found = book.BothWays(lean)(inputs).exp()
    ways = [lean(torch.tensor(x.copy())) for x in (inputs.numpy(), inputs.numpy()[..., ::-1])]
    torch.testing.assert_close(found, sum(way.softmax(dim=1) for way in ways) / 2)


def test_the_book_takes_part_with_the_settings_of_its_chapters():
    defaults = inspect.signature(train_network).parameters
    assert defaults["head_lr"].default == book.HEAD_LR
    assert inspect.signature(data.image_folders).parameters["batch_size"].default == book.BATCH_SIZE
    sizes = [method.options for method in run.METHODS if "fine-tuned-lite0" in method.works]
    assert ("--size", str(groups_backbones.IMAGENET.size)) in sizes
    for strategy, rate in book.LITE_RATES.items():
        assert rate == groups_backbones.LADDER[strategy].lite_lr
    for name, statistics in protocol.STATISTICS.items():
        own = data.statistics(models.build(name, 2))
        assert statistics == (own["mean"], own["std"])


def test_every_form_is_measured(cpu, monkeypatch):
    assert list(hardware.FORMS) == ["plain", "channels last", "bfloat16", "both"]
    for name in ("bfloat16", "both"):  # slow where a processor has no instructions for it
        monkeypatch.delitem(hardware.FORMS, name)
    rows = hardware.measure(32, 4, cpu, rounds=1, threads=1)
    assert [row[3] for row in rows] == ["plain", "channels last"]
    assert rows[0][5] == rows[0][7] == "1.0" and all(float(cell) > 0 for cell in rows[-1][4:])
    assert all(len(row) == len(hardware.COLUMNS) for row in rows)
