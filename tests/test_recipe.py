"""The shared trainings: each the same again, whatever ran before, and as written out by hand."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from conftest import save_picture
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import data
from helpers.models import (
    build,
    changed,
    eval_mode,
    fixed_statistics,
    resnet18,
    snapshot,
    train_only,
)
from helpers.recipe import fine_tune, fit_logistic_regression, train_head, train_network
from helpers.runtime import seed_everything
from helpers.training import fit

OPTIONS = {"num_epochs": 2, "lr": 0.01, "head_lr": 0.05, "seed": 3, "weights": None}


@pytest.fixture
def load(tmp_path):
    names = "train/a/1 train/a/2 train/a/3 train/b/1 train/b/2 val/a/1 val/b/1"
    for i, name in enumerate(names.split()):
        save_picture(tmp_path / f"{name}.png", seed=i)
    return partial(data.image_folders, tmp_path, size=32, batch_size=2, seed=3)


def test_a_network_is_trained_as_chapter_4_writes_it(load, cpu, criterion):
    trained, _, history = train_network(load, **OPTIONS)
    seed_everything(3)
    loaders = load()
    model = resnet18(2, weights=None)
    backbone = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": model.fc.parameters(), "lr": 0.05}, {"params": backbone, "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    options = {"num_epochs": 2, "scheduler": scheduler, "verbose": False}
    own = fit(model, *loaders[:2], criterion, optimizer, cpu, **options)
    assert (history.train_loss, history.val_loss) == (own.train_loss, own.val_loss)
    assert history.lr == pytest.approx([0.05, 0.025])
    assert not changed(trained, snapshot(model))


def test_what_ran_before_does_not_matter_and_the_seed_does(load):
    first, _, _ = train_network(load, **OPTIONS)
    torch.rand(5)
    before = snapshot(first)
    assert not changed(train_network(load, **OPTIONS)[0], before)
    assert changed(train_network(load, **OPTIONS | {"seed": 4})[0], before)


def test_a_frozen_network_changes_in_its_head_alone_unless_another_mode_is_asked_for(load):
    weights = {"weights": "pretrained", "freeze": True}
    before = snapshot(resnet18(2))
    frozen, _, _ = train_network(load, **OPTIONS | weights)
    assert changed(frozen, before) == ["fc.weight", "fc.bias"]
    leaky, _, _ = train_network(load, mode=nn.Module.train, **OPTIONS | weights)
    assert len(changed(leaky, before)) == 62


def test_a_head_is_trained_on_features_as_chapter_3_writes_it(examples, cpu, criterion):
    head, history = train_head(examples, examples, 3, num_epochs=2, batch_size=4, seed=5)
    seed_everything(5)
    own = nn.Linear(5, 3)
    shuffled = DataLoader(examples, 4, shuffle=True, generator=torch.Generator().manual_seed(5))
    optimizer, whole = torch.optim.Adam(own.parameters(), lr=1e-3), DataLoader(examples, 4)
    theirs = fit(own, shuffled, whole, criterion, optimizer, cpu, num_epochs=2, verbose=False)
    assert history.train_loss == theirs.train_loss
    assert not changed(head, copy.deepcopy(own.state_dict()))


def test_a_head_takes_another_optimizer(examples):
    still = partial(torch.optim.SGD, lr=0.0)
    _, history = train_head(examples, examples, 3, make_optimizer=still, num_epochs=1)
    assert history.lr == [0.0]


def test_the_best_head_is_scikit_learns_logistic_regression():
    inputs, labels = torch.randn(31, 4) * 3, torch.arange(31) % 3
    inputs[:, 0] += labels
    head = fit_logistic_regression(TensorDataset(inputs, labels), 3)
    oracle = LogisticRegression(C=1 / (0.01 * 31), tol=1e-9, solver="newton-cg")
    oracle.fit(inputs.double().numpy(), labels.numpy())
    weight, bias = (p.detach().numpy() for p in (head.weight, head.bias))
    np.testing.assert_allclose(weight, oracle.coef_, rtol=0, atol=1e-3)
    np.testing.assert_allclose(bias - bias.mean(), oracle.intercept_, rtol=0, atol=2e-3)


@pytest.mark.parametrize("strategy", ["head", "low rank", "all"])
def test_a_network_is_fine_tuned_as_chapter_7_writes_it(strategy, load, cpu, criterion):
    half = (0.5, 0.5, 0.5)
    load = partial(load, mean=half, std=half)
    options = {"num_epochs": 2, "lr": 1e-3, "head_lr": 1e-2, "seed": 3}
    _, loaders, history = fine_tune(load, "tf_efficientnet_lite0", strategy, **options)
    assert loaders.mean == half

    seed_everything(3)
    loaders = load()
    model = build("tf_efficientnet_lite0", 2).to(memory_format=torch.channels_last)
    whole = DataLoader(load(augment=False).train.dataset, 2)
    with torch.random.fork_rng():
        inputs = torch.cat([inputs for inputs, _ in whole])
    with eval_mode(model), torch.no_grad():
        features = model.forward_head(model.forward_features(inputs), pre_logits=True)
    head = fit_logistic_regression(TensorDataset(features, torch.tensor([0, 0, 0, 1, 1])), 2)
    model.classifier.load_state_dict(head.state_dict())
    train_only(model, strategy)
    groups = [{"params": model.classifier.parameters(), "lr": 1e-2}]
    rest = [p for name, p in model.named_parameters() if not name.startswith("classifier.")]
    if rest := [parameter for parameter in rest if parameter.requires_grad]:
        groups.append({"params": rest, "lr": 1e-3})
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    options = {"num_epochs": 2, "scheduler": schedule, "verbose": False}
    own = fit(model, *loaders[:2], criterion, optimizer, cpu, mode=fixed_statistics, **options)
    assert history.train_loss == pytest.approx(own.train_loss, rel=1e-3)
    assert history.lr == pytest.approx([1e-2, 5e-3])


def test_without_head_first_the_head_is_random(load):
    options = {"num_epochs": 1, "lr": 0.0, "head_lr": 0.0, "seed": 3}
    first = fine_tune(load, "resnet18", "head", **options)[0].fc.weight
    other = fine_tune(load, "resnet18", "head", head_first=False, **options)[0].fc.weight
    seed_everything(3)
    assert torch.equal(other, resnet18(2).fc.weight) and not torch.equal(first, other)
