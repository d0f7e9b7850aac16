"""What each strategy trains, and what it leaves to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.models import (
    STRATEGIES,
    LowRank,
    build,
    changed,
    count_parameters,
    eval_mode,
    fixed_statistics,
    snapshot,
    train_mode,
    train_only,
)
from helpers.training import train_one_epoch

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def pictures():
    """Five pictures in two classes: with batches of three, the last holds two."""
    return TensorDataset(torch.randn(5, 3, 32, 32), torch.arange(5) % 2)


def train(model, pictures, mode=train_mode):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    options = {"mode": mode}
    device, criterion = torch.device("cpu"), nn.CrossEntropyLoss()
    for _ in range(2):
        train_one_epoch(model, DataLoader(pictures, 3), criterion, optimizer, device, **options)


def trained(name, key):
    """Tell which strategies train a parameter, by its name alone."""
    head = {"resnet18": "fc", LITE0: "classifier"}[name]
    last = {"resnet18": ("layer4", "fc"), LITE0: ("blocks.6", "conv_head", "bn2", "classifier")}
    if key.startswith(head):
        return set(STRATEGIES)
    strategies = {"all"}
    if key.startswith(last[name]):
        strategies.add("last stage")
    if ".bn" in key or key.startswith("bn") or ".downsample.1." in key:
        strategies.add("normalization")
    return strategies


@pytest.mark.parametrize("name", ["resnet18", LITE0])
@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "low rank"])
def test_a_strategy_trains_what_it_says_and_nothing_else(name, strategy, pictures):
    model = build(name, 2)
    train_only(model, strategy)
    before = snapshot(model)
    train(model, pictures, mode=fixed_statistics)
    parameters = {key for key, _ in model.named_parameters()}
    assert set(changed(model, before)) == {
        key for key in parameters if strategy in trained(name, key)
    }


@pytest.mark.parametrize("name", ["resnet18", LITE0, "convnext_atto"])
def test_low_rank_begins_as_the_network_was_and_trains_the_additions_alone(name, pictures):
    model = build(name, 2, weights=None if name == "convnext_atto" else "pretrained")
    inputs = pictures.tensors[0]
    with eval_mode(model), torch.no_grad():
        logits = model(inputs)
        train_only(model, "low rank", rank=2)
        torch.testing.assert_close(model(inputs), logits, rtol=1e-4, atol=1e-5)
    before = snapshot(model)
    train(model, pictures)
    different = changed(model, before)
    heads = ("fc.", "classifier.", "head.")
    additions = {key for key in different if not key.startswith(heads)}
    assert len(different) == len(additions) + 2
    assert {key for key in before if key.endswith(".up")} <= additions
    assert additions <= {key for key in before if key.endswith((".up", ".down"))}


def test_low_rank_counts_rank_times_outputs_plus_inputs():
    model = build("resnet18", 2, weights=None)
    shapes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Conv2d)]
    train_only(model, "low rank", rank=3)
    expected = sum(3 * (out + channels * h * w) for out, channels, h, w in shapes)
    assert count_parameters(model)[1] == expected + 512 * 2 + 2


def test_the_sum_is_that_of_numpy():
    weight = torch.randn(6, 4, 3, 3)
    low_rank = LowRank(weight, rank=2)
    assert torch.equal(low_rank(weight), weight)
    nn.init.normal_(low_rank.up)
    up, down = (p.detach().double().numpy() for p in (low_rank.up, low_rank.down))
    expected = weight.double().numpy() + np.einsum("or,ri->oi", up, down).reshape(6, 4, 3, 3)
    np.testing.assert_allclose(low_rank(weight).detach().numpy(), expected, atol=1e-5)
    change = (low_rank(weight) - weight).detach().flatten(1)
    assert torch.linalg.matrix_rank(change, rtol=1e-4) == 2


@pytest.mark.parametrize("strategy", ["normalization", "all"])
def test_the_mode_decides_whether_statistics_move(strategy, pictures):
    for mode, moved in ((train_mode, True), (fixed_statistics, False)):
        model = build(LITE0, 2)
        train_only(model, strategy)
        before = snapshot(model)
        train(model, pictures, mode=mode)
        assert any("running" in key for key in changed(model, before)) == moved


def test_fixed_statistics_train_the_rest():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    fixed_statistics(model)
    assert [layer.training for layer in model] == [True, False, True]


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match=r"strategy is .top.: choose one of head, "):
        train_only(build("resnet18", 2, weights=None), "top")
