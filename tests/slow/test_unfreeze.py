"""A stored run of the explorer of stages can be made again."""

import torch

from helpers.explorers.unfreeze import read
from helpers.models import resnet18, unfreeze_from
from tools.measure import measure_unfreeze


def test_a_run_can_be_made_again(monkeypatch):
    """Other machines round differently, and 2 of 200 pictures are a point."""
    monkeypatch.setenv("EDITION", "rendered")
    torch.set_num_threads(1)
    setting = {"stage": "the head", "rate": "0.002", "mode": "evaluation mode", "seed": "0"}
    (stored,) = (run for run in read() if setting.items() <= run.items())
    run = measure_unfreeze.measure("the head", 0.002, "evaluation mode", 0)
    assert list(run) == list(stored) and setting.items() <= run.items()
    assert abs(float(run["test accuracy"]) - float(stored["test accuracy"])) <= 0.03
    again, then = (row["validation accuracies"].split() for row in (run, stored))
    assert len(again) == len(then) == measure_unfreeze.NUM_EPOCHS
    assert abs(float(again[-1]) - float(then[-1])) <= 0.03


def test_a_stage_trains_from_its_first_layer_on():
    order = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    for first in measure_unfreeze.STAGES.values():
        model = resnet18(2, weights=None, freeze=True)
        unfreeze_from(model, first)
        trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
        assert trained == set(order[order.index(first) :])
