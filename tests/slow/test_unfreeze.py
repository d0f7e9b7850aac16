"""A stored run of the explorer of stages can be made again."""

import torch

from helpers.explorers.unfreeze import read
from tools.measure import measure_unfreeze


def test_a_run_can_be_made_again(monkeypatch):
    """Other machines round differently, and 2 of 200 pictures are a point."""
    monkeypatch.setenv("EDITION", "rendered")
    torch.set_num_threads(1)
    setting = {"stage": "the head", "rate": "0.002", "mode": "evaluation mode", "seed": "0"}
    (stored,) = (run for run in read() if setting.items() <= run.items())
    row = measure_unfreeze.measure("the head", 0.002, "evaluation mode", 0)
    run = dict(zip(measure_unfreeze.COLUMNS, row, strict=True))
    assert list(run) == list(stored) and setting.items() <= run.items()
    assert abs(float(run["test accuracy"]) - float(stored["test accuracy"])) <= 0.03
    again, then = (row["validation accuracies"].split() for row in (run, stored))
    assert len(again) == len(then) == measure_unfreeze.NUM_EPOCHS
    assert abs(float(again[-1]) - float(then[-1])) <= 0.03
