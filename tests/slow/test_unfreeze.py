"""A stored run of the explorer of depth can be made again."""

import torch

from helpers.explorers.unfreeze import COLUMNS, HEAD, RATES, read
from tools.measure import measure_unfreeze


def test_a_run_can_be_made_again(monkeypatch):
    """Other machines round differently, and 2 of 200 pictures are a point."""
    monkeypatch.setenv("EDITION", "rendered")
    torch.set_num_threads(1)
    stored = {(r["stage"], r["rate"], r["mode"], r["seed"]): r for r in read()}
    key = (HEAD, str(RATES[0]), "evaluation mode", "0")
    row = measure_unfreeze.measure(*key[:1], RATES[0], key[2], 0)
    assert abs(float(row[4]) - float(stored[key]["test accuracy"])) <= 0.03
    again, then = (list(map(float, text.split())) for text in (row[6], stored[key][COLUMNS[6]]))
    assert len(again) == len(then) == measure_unfreeze.NUM_EPOCHS
    assert abs(again[-1] - then[-1]) <= 0.03
