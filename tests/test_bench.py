"""The benchmark in tools/bench: its arithmetic, its records, and that its contestants run."""

import csv
import inspect
import json
import math
import os
import pickle
import re
import subprocess
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
from tools.bench import (
    bare,
    book,
    book_averaged,
    book_lite0,
    growth,
    hardware,
    protocol,
    report,
    run,
)
from tools.measure import groups_backbones

SCRIPTS = ("book.py", "plain_pytorch.py", "source_loops.py")


def record(contestant, seed, epochs, work="frozen", day="2026-01-01", **end):
    """Make up a run from its (seconds, accuracy) after each epoch: 30 pictures in 0.25 s each."""
    lines = [
        {"epoch": epoch, "seconds": seconds, "train_seconds": 0.25, "pictures": 30,
         "val_accuracy": accuracy}
        for epoch, (seconds, accuracy) in enumerate(epochs, 1)
    ]  # fmt: skip
    end = {"setup_seconds": 1.0, "total_seconds": 9.0, "peak_mb": 100.0 + seed} | end
    end = {"worker_peak_mb": 0.0, "size": 96, "batch_size": 16} | end
    key = {"work": work, "contestant": contestant, "seed": seed, "threads": 2}
    return key | {"backbone": "resnet18", "day": day, "lines": lines, "end": end}


def bare_record(seed, train, forward, **settings):
    rates = {"size": 96, "batch_size": 16, "train": train, "forward": forward}
    key = {"work": "bare", "backbone": "resnet18", "seed": seed, "threads": 2, "day": "2026-01-01"}
    return key | rates | settings


QUICK, LOST = "this book", "fastai, 96 px"


@pytest.fixture
def records():
    """Source: last accuracies .6 and .8, so .7 is to be reached; it does after 20 and 36 s."""
    return [
        record(QUICK, 0, [(1, 0.6), (2, 0.75)]),
        record(LOST, 0, [(5, 0.1), (10.4, 0.69)]),
        record(report.SOURCE, 0, [(10, 0.5), (20, 0.7), (130, 0.6)], worker_peak_mb=55.0),
        bare_record(0, train=20.0, forward=70.0),
        record(QUICK, 1, [(1, 0.7), (2, 0.9)]),
        record(report.SOURCE, 1, [(12, 0.4), (24, 0.6), (36, 0.8)]),
        bare_record(1, train=20.0, forward=80.0),
        record(QUICK, 2, [(1, 0.1), (2, 0.2)]),
        bare_record(2, train=20.0, forward=90.0),
        bare_record(2, train=1.0, forward=1.0, size=224),
        bare_record(2, train=1.0, forward=1.0, day="2026-01-02"),
        bare_record(2, train=1.0, forward=1.0, backbone=protocol.LITE0),
    ]


def test_the_summary_agrees_with_counting_by_hand(records):
    quick, lost, source = report.summarize(records, "frozen")
    assert quick == [
        QUICK, "3", "2.0 (1.0–never); 2 of 3", "2.0",
        "14",  # the original's loops are there after 28 s, in the median
        "61.7 % (20.0–90.0)", "102",
        "0.50",  # 60 pictures in 1.5 s, of the 80 a second that the bare network manages
    ]  # fmt: skip
    assert lost[1:6] == ["1", "never; 0 of 1", "10", "", "69.0 %"]
    assert source[1:6] == ["2", "28 (20–36)", "83 (36–130)", "1.0", "70.0 % (60.0–80.0)"]
    assert source[6] == "101; workers 55 each"
    assert len(quick) == len(report.COLUMNS)


def test_a_run_beside_other_work_counts_for_the_accuracy_only():
    runs = [record(report.SOURCE, 0, [(10, 0.7)]), record(QUICK, 0, [(1, 0.7)])]
    beside = [record(QUICK, 1, [(500, 0.9)]) | {"timed": False},
              record(LOST, 0, [(3, 0.9)]) | {"timed": False}]  # fmt: skip
    _, quick, lost = report.summarize([*runs, *beside], "frozen")
    assert quick[1:6] == ["2, 1 timed", "1.0", "1.0", "10", "80.0 % (70.0–90.0)"]
    assert lost[1:6] == ["1, 0 timed", "", "", "", "90.0 %"]


def test_half_of_the_seeds_is_not_most_of_them():
    source = record(report.SOURCE, 0, [(10, 0.7)])
    half = [record(QUICK, seed, [(1, accuracy)]) for seed, accuracy in ((0, 0.7), (1, 0.6))]
    row = report.summarize([source, *half], "frozen")[1]
    assert row[2] == "never (1.0–never); 1 of 2" and row[4] == ""


def test_a_seed_of_the_source_that_never_has_its_accuracy_counts_with_all_its_time():
    source = [
        record(report.SOURCE, 0, [(10, 0.5), (20, 0.6)]),  # of .7
        record(report.SOURCE, 1, [(10, 0.8), (40, 0.8)]),
    ]
    first, mine = report.summarize([*source, record(QUICK, 0, [(5, 0.7)])], "frozen")
    assert first[2] == "never (10–never); 1 of 2" and first[4] == "1.0"
    assert mine[4] == "3.0"  # the median of 20 and 10, over 5


def test_fine_tuning_is_compared_with_training_and_a_missing_source_leaves_blanks():
    mine = record(QUICK, 0, [(1, 0.6), (2, 0.75)], work="fine-tuned")
    (row,) = report.summarize([mine, bare_record(0, train=20.0, forward=70.0)], "fine-tuned")
    assert row[2] == row[4] == "" and row[-1] == "2.0"
    (row,) = report.summarize([mine], "fine-tuned")
    assert row[-1] == ""
    with pytest.raises(ValueError, match="mix numbers of threads"):
        report.summarize([mine, mine | {"threads": 1}], "fine-tuned")


def test_a_half_written_last_line_is_left_out_and_replaced(records, tmp_path):
    raw = tmp_path / "deep" / "raw.jsonl"
    assert report.read(raw) == []
    for one in records[:2]:
        report.append(raw, one)
    with raw.open("a") as file:
        file.write(json.dumps(records[2])[:50])
    assert report.read(raw) == records[:2]
    report.append(raw, records[3])
    assert report.read(raw) == [*records[:2], records[3]]
    raw.write_text("{broken\n" + raw.read_text())
    with pytest.raises(json.JSONDecodeError):  # in the middle, it is damage
        report.read(raw)


@pytest.fixture
def arguments(tmp_path):
    peers = tmp_path / "python"
    peers.touch()
    (tmp_path / "cifar-10-batches-py").mkdir()
    return Namespace(
        seeds=2, slow_seeds=1, work=None, contestant=None, threads=2, smoke=False, timed=True,
        data=Path("data"), cifar10=tmp_path, peers=peers, raw=tmp_path / "raw.jsonl",
    )  # fmt: skip


def fake_lines(calls):
    """Stand in for the processes: note each call, fail where it is in `calls` already as such."""

    def python_lines(python, script, options, threads):
        task = options[options.index("--task") + 1] if "--task" in options else "bare"
        backbone = options[options.index("--backbone") + 1]
        calls.append((script, task, backbone))
        if script == "bare.py":
            return [{"train": 1.0, "forward": 2.0}]
        made = record("", 0, [(1, 0.5)])
        return [*made["lines"], made["end"]]

    return python_lines


def test_seeds_take_turns_and_what_is_there_is_not_run_again(arguments, monkeypatch):
    calls = []
    monkeypatch.setattr(run, "python_lines", fake_lines(calls))
    assert run.run_all(arguments) == 0
    found = report.read(arguments.raw)
    # Of the works 5, 4, 6, 5 and 4 runs, all but the slow twice; and with the first, two bare rates
    assert [one["seed"] for one in found] == [0] * 26 + [1] * 12
    assert sum(script == "source_loops.py" for script, _, _ in calls) == 5
    lite0 = [task for script, task, backbone in calls if backbone == protocol.LITE0]
    assert {task: lite0.count(task) for task in lite0} == {
        "frozen": 4 + 1, "fine-tuned": 5 + 2, "cifar10": 2, "bare": 1
    }  # fmt: skip
    assert not any(str(arguments.raw.parent) in json.dumps(one) for one in found)
    once = len(calls)
    assert run.run_all(arguments) == 0 and len(calls) == once
    assert report.read(arguments.raw) == found

    whole = arguments.raw.read_text()
    arguments.raw.write_text(whole[:-40])  # the last was interrupted
    assert run.run_all(arguments) == 0 and len(calls) == once + 1
    assert arguments.raw.read_text() == whole


def test_a_failure_is_told_and_the_others_go_on(arguments, monkeypatch, capsys):
    works = fake_lines([])

    def fail(python, script, options, threads):
        if script == "fastai_learner.py":
            raise RuntimeError("fastai stumbled")
        return works(python, script, options, threads)

    monkeypatch.setattr(run, "python_lines", fail)
    assert run.run_all(arguments) == 10
    assert "fastai stumbled" in capsys.readouterr().err
    assert len(report.read(arguments.raw)) == 38 - 10


def test_what_cannot_run_here_is_left_out_and_named(arguments, capsys):
    arguments.peers.unlink()
    arguments.cifar10 = Path("nowhere")
    pairs = run.available(arguments)
    assert {work for _, work in pairs} == set(run.WORKS) - {"cifar10"}
    assert not any(contestant.peer for contestant, _ in pairs)
    told = capsys.readouterr().err
    assert "fastai" in told and "CIFAR-10" in told


def test_one_contestant_of_one_work_can_be_asked_for(arguments):
    arguments.work, arguments.contestant = "fine-tuned-lite0", "this book"
    ((contestant, work),) = run.available(arguments)
    assert (contestant.script, work) == ("book_lite0.py", "fine-tuned-lite0")
    arguments.contestant = "fastai, 96 px"
    with pytest.raises(SystemExit, match="fastai, 96 px takes no part in fine-tuned-lite0"):
        run.available(arguments)


def test_every_contestant_and_every_work_has_its_place_in_the_figure():
    assert {contestant.name for contestant in run.CONTESTANTS} == set(report.STYLES)
    assert list(run.WORKS) == list(report.TITLES)
    assert {task for task, _ in run.WORKS.values()} == set(protocol.TASKS)


# ---- the contestants -----------------------------------------------------------------------------


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
        data = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        batch = {"data": data, "labels": [k % 10 for k in range(20)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": list(assets.CIFAR10_CLASSES)}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return root


@pytest.mark.parametrize(("script", "task"), list(zip(SCRIPTS, protocol.TASKS, strict=True)))
def test_a_contestant_prints_the_lines_of_the_protocol(script, task, tiny_pictures):
    """Each contestant and each task once; all nine pairs are in tests/slow."""
    check_contestant(script, task, tiny_pictures)


@pytest.mark.parametrize(
    ("script", "task"),
    [
        ("plain_pytorch.py", "frozen"),
        ("source_loops.py", "fine-tuned"),
        ("book_lite0.py", "cifar10"),
    ],
)
def test_a_contestant_takes_the_other_backbone(script, task, tiny_pictures):
    lines = run.python_lines(
        Path(sys.executable), script,
        ["--data", str(tiny_pictures), "--task", task, "--backbone", protocol.LITE0]
        + ["--epochs", "1", "--max-batches", "1"] + ["--size", "40"] * (script == "book_lite0.py"),
        threads=1,
    )  # fmt: skip
    assert [line["epoch"] for line in lines[:-1]] == [1]
    assert lines[-1]["size"] == (40 if script == "book_lite0.py" else 224)


@pytest.mark.parametrize("strategy", book_lite0.RATES)
def test_the_book_fine_tunes_lite0_as_chapter_6_does(strategy, tiny_pictures):
    options = ["--data", str(tiny_pictures), "--size", "64", "--backbone", protocol.LITE0]
    options += ["--task", "fine-tuned", "--strategy", strategy, "--epochs", "2"]
    *epochs, end = run.python_lines(Path(sys.executable), "book_lite0.py", options, threads=1)
    assert [line["pictures"] for line in epochs] == [9, 9]
    assert 0 < end["setup_seconds"] < epochs[0]["seconds"] < epochs[1]["seconds"]
    statistics = data.statistics(models.build(protocol.LITE0, 2))
    load = partial(data.image_folders, tiny_pictures, size=64, **statistics)
    rate = groups_backbones.LADDER[strategy].lite0_lr
    *_, history = fine_tune(load, protocol.LITE0, strategy, num_epochs=2, lr=rate, head_lr=rate)
    found = [line["val_accuracy"] for line in epochs]
    assert found == pytest.approx(history.val_accuracy, abs=1e-4)


def test_the_averaged_recipe_trains_and_is_evaluated_once(tiny_pictures):
    options = ["--data", str(tiny_pictures), "--task", "fine-tuned", "--epochs", "2"]
    line, end = run.python_lines(Path(sys.executable), "book_averaged.py", options, threads=1)
    assert line["pictures"] == 2 * 9
    assert 0 < end["setup_seconds"] < end["setup_seconds"] + line["train_seconds"] < line["seconds"]
    assert end["size"] == book_averaged.SIZE


def test_both_ways_is_the_mean_of_a_picture_and_its_mirror_image():
    def lean(inputs):  # from left to right, and twice as sure
        return torch.stack([inputs[:, 0, 0, 0], 2 * inputs[:, 0, 0, -1]], dim=1)

    inputs = torch.randn(5, 3, 4, 4)
    found = book_averaged.BothWays(lean)(inputs).exp()
    ways = [lean(torch.tensor(x.copy())) for x in (inputs.numpy(), inputs.numpy()[..., ::-1])]
    torch.testing.assert_close(found, sum(way.softmax(dim=1) for way in ways) / 2)


def test_the_book_s_frozen_lite0_has_the_best_head(tiny_pictures):
    options = ["--data", str(tiny_pictures), "--size", "64", "--backbone", protocol.LITE0]
    options += ["--task", "frozen"]
    line, end = run.python_lines(Path(sys.executable), "book_lite0.py", options, threads=1)
    assert line["epoch"] == 1 and line["pictures"] == 9 and end["size"] == 64
    model = models.build(protocol.LITE0, 2)
    loaders = data.image_folders(tiny_pictures, size=64, augment=False, **data.statistics(model))
    head = fit_logistic_regression(extract_features(model, loaders.train, book.CPU), 2)
    inputs, labels = extract_features(model, loaders.val, book.CPU).tensors
    share = (head(inputs).argmax(dim=1) == labels).float().mean().item()
    assert line["val_accuracy"] == pytest.approx(share, abs=1e-4)


def check_contestant(script, task, tiny_pictures):
    options = ["--data", str(tiny_pictures), "--task", task, "--epochs", "2"]
    if task == "frozen":
        options += ["--max-batches", "1"]
    lines = run.python_lines(Path(sys.executable), script, options, threads=1)
    *epochs, end = lines
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert 0 < epochs[0]["seconds"] < epochs[1]["seconds"] <= end["total_seconds"]
    assert end["setup_seconds"] < epochs[0]["seconds"]
    batch = end["batch_size"]
    expected = 100 if task == "cifar10" else 9 if task == "fine-tuned" else min(9, batch)
    for line in epochs:
        assert line["pictures"] == expected and 0 <= line["val_accuracy"] <= 1
        assert 0 < line["train_seconds"] < line["seconds"]
    val = 20 if task == "cifar10" else 5 if task == "fine-tuned" else min(5, batch)
    assert (epochs[-1]["val_accuracy"] * val) % 1 == pytest.approx(0, abs=1e-3)
    assert end["peak_mb"] > 100
    source_workers = 0 if task == "cifar10" else 4
    workers = {"book.py": 0, "plain_pytorch.py": os.cpu_count(), "source_loops.py": source_workers}
    assert end["workers"] == workers[script]
    assert (end["worker_peak_mb"] > 0) == (end["workers"] > 0)


def test_the_protocol_asks_for_nothing_of_the_book():
    """fastai's environment has no helpers: the protocol, and fastai's script, import none."""
    code = "import protocol, sys; assert not {'helpers', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=run.HERE)
    assert "helpers" not in (run.HERE / "fastai_learner.py").read_text()


@pytest.mark.parametrize("name", protocol.BACKBONES)
def test_all_give_the_book_s_backbone_the_book_s_inputs(name):
    own, (model, head) = models.build(name, 3), protocol.build(name, 3)
    backbone = protocol.BACKBONES[name]
    assert backbone.weights.samefile(assets.weights(name))
    statistics = {"mean": tuple(backbone.mean), "std": tuple(backbone.std)}
    assert statistics == data.statistics(own)
    trainable = models.trainable_parameters(model)
    assert trainable == list(head.parameters()) and models.head_of(model) is head
    models.load_backbone(own, backbone.weights)
    models.head_of(own).load_state_dict(head.state_dict())
    inputs = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(own.eval()(inputs), model.eval()(inputs))


def test_the_book_takes_part_with_the_settings_of_its_chapters():
    shared = [inspect.signature(f).parameters for f in (train_network, data.image_folders)]
    for name in ("batch_size", "num_epochs", "lr", "head_lr"):
        (parameter,) = (parameters[name] for parameters in shared if name in parameters)
        assert getattr(book, name.upper()) == parameter.default, name


def test_the_book_trains_lite0_with_the_settings_of_its_ladder():
    assert groups_backbones.IMAGENET.size == book_lite0.SIZE
    assert book_lite0.EPOCHS["fine-tuned"] == (
        inspect.signature(fine_tune).parameters["num_epochs"].default
    )
    for strategy, rate in book_lite0.RATES.items():
        assert rate == groups_backbones.LADDER[strategy].lite0_lr


def test_the_bare_rate_is_the_batch_over_the_median_of_its_steps(monkeypatch):
    clock = iter([0, 50, 0, 1, 0, 2, 0, 9])  # a warm-up of 50 s, then 1, 2 and 9
    monkeypatch.setattr(bare.time, "perf_counter", lambda: next(clock))
    assert bare.median_seconds(lambda: None, steps=3, warm_up=1) == 2
    monkeypatch.setattr(bare, "median_seconds", lambda step, steps: step() or 0.5)
    assert bare.rates("resnet18", 32, batch_size=4, steps=1) == {"train": 8.0, "forward": 8.0}


# ---- figures and growth --------------------------------------------------------------------------


def test_every_form_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "SETTINGS", ((32, 4),))
    monkeypatch.setattr("sys.argv", ["hardware", "--steps", "1", "--out", str(tmp_path)])
    hardware.main()
    head, *rows = csv.reader((tmp_path / "hardware.csv").open(encoding="utf8"))
    assert head == hardware.COLUMNS
    assert {row[3] for row in rows} >= {"plain", "channels last", "bfloat16", "both"}
    assert rows[0][5] == rows[0][7] == "1.0" and all(float(cell) > 0 for cell in rows[-1][4:])


def test_table_and_figure_come_from_the_records_alone(records, tmp_path):
    raw, out = tmp_path / "raw.jsonl", tmp_path / "out"
    for one in records:
        report.append(raw, one)
    report.report(raw, out)
    table = (out / "bench_frozen.csv").read_text("utf8").splitlines()
    assert table[0] == ",".join(report.COLUMNS) and len(table) == 4
    figure = (out / "figures" / "bench.svg").read_bytes()
    assert b"<svg" in figure
    report.report(raw, out)
    raw.write_text("")
    with pytest.raises(SystemExit, match="no run"):
        report.report(raw, out)


def test_a_work_of_several_days_is_told(records, capsys):
    report.warn_of_days(records)
    assert capsys.readouterr().err == ""
    report.warn_of_days([*records, record(QUICK, 3, [(1, 0.5)], day="2026-01-02")])
    told = "frozen was measured on 2 days: ['2026-01-01', '2026-01-02']"
    assert capsys.readouterr().err.strip() == told


def test_the_figures_fit_a_phone(records, tmp_path):
    others = [one | {"work": work} for work in report.TITLES for one in records if "end" in one]
    report.plot(others, tmp_path / "bench.svg")
    width = re.search(r'<svg[^>]* width="([\d.]+)pt"', (tmp_path / "bench.svg").read_text("utf8"))
    assert float(width[1]) < 390  # letters of 10 points are as large as the text around them


def test_the_fitted_line_is_found_again_and_relative_errors_weigh_alike():
    counts = [100, 1000, 10_000]
    assert growth.fit_line(counts, [2 + 0.01 * n for n in counts]) == pytest.approx((2, 0.01))
    a, b = growth.fit_line(counts, [3, 12, 204])  # 102 expected: twice as much
    w = 1 / np.array([3, 12, 204])
    system = np.stack([w, w * counts], axis=1)
    assert (a, b) == pytest.approx(tuple(np.linalg.lstsq(system, np.ones(3), rcond=None)[0]))


def test_growth_is_measured_and_drawn(tmp_path):
    threads = torch.get_num_threads()
    found = [
        growth.measure(method, count, tmp_path) for method in growth.METHODS for count in (20, 40)
    ]
    assert torch.get_num_threads() == threads
    assert all(one["seconds"] > 0 and one["peak_mb"] > 100 for one in found)
    rows, fits = growth.with_fits(found)
    assert [row[:2] for row in rows] == [
        ["frozen", "20"], ["frozen", "40"], ["fine-tuned", "20"], ["fine-tuned", "40"],
    ]  # fmt: skip
    growth.plot(found, fits, tmp_path / "figures" / "growth.svg")
    assert b"<svg" in (tmp_path / "figures" / "growth.svg").read_bytes()


def test_the_page_quotes_the_tables():
    """Each time, memory, factor and accuracy in its text stands in one of them."""
    pages = Path(__file__).parent.parent / "book"
    paths = [*pages.glob("bench_*.csv"), pages / "growth.csv", pages / "hardware.csv"]
    tables = " ".join(path.read_text("utf8") for path in paths)
    measured = set(re.findall(r"\d+(?:\.\d+)?", tables))
    text = (pages / "speed.md").read_text("utf8").split("## What was measured")[1]
    quoted = re.findall(r"(\d+(?:\.\d+)?) (?:s\b|MB|times)|(\d+\.\d)[\s\N{NO-BREAK SPACE}]%", text)
    assert len(quoted) > 20
    assert {one or other for one, other in quoted} <= measured


def test_numbers_are_written_with_two_digits():
    values = [None, math.inf, 0.123, 1.234, 9.96, 12.54, 99.6, 123.4, 369, 1254.5]
    written = ["", "never", "0.12", "1.2", "10", "13", "100", "120", "370", "1300"]
    assert list(map(report.number, values)) == written


def test_times_are_written_with_their_range_where_it_can_be_seen():
    assert report.times([3, 2, 12.4]) == "3.0 (2.0–12)"
    assert report.times([221, 222, 224]) == "220"
