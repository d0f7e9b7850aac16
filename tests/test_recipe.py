"""The shared trainings: each the same again, whatever ran before, and as written out by hand."""

import copy

import pytest
import torch
from conftest import save_picture
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import data
from helpers.models import changed, resnet18, snapshot
from helpers.recipe import adam, train_head, train_network
from helpers.runtime import seed_everything
from helpers.training import fit

OPTIONS = {"num_epochs": 2, "lr": 0.01, "head_lr": 0.05, "seed": 3, "weights": None}


@pytest.fixture
def load(tmp_path):
    for i, name in enumerate(["train/a/1", "train/a/2", "train/a/3", "train/b/1", "train/b/2",
                              "val/a/1", "val/b/1"]):  # fmt: skip
        save_picture(tmp_path / f"{name}.png", seed=i)
    return lambda: data.image_folders(tmp_path, size=32, batch_size=2, seed=3)


def test_a_network_is_trained_as_chapter_4_writes_it(load, cpu, criterion):
    trained, _, history = train_network(load, **OPTIONS)
    seed_everything(3)
    loaders = load()
    model = resnet18(2, weights=None)
    backbone = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": model.fc.parameters(), "lr": 0.05}, {"params": backbone, "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    own = fit(
        model, loaders.train, loaders.val, criterion, optimizer, cpu,
        num_epochs=2, scheduler=scheduler, verbose=False,
    )  # fmt: skip
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
    theirs = fit(
        own, shuffled, DataLoader(examples, 4), criterion,
        torch.optim.Adam(own.parameters(), lr=1e-3), cpu, num_epochs=2, verbose=False,
    )  # fmt: skip
    assert history.train_loss == theirs.train_loss
    assert not changed(head, copy.deepcopy(own.state_dict()))
    assert adam([nn.Parameter(torch.zeros(1))]).defaults["lr"] == 1e-3


def test_a_head_takes_another_optimizer(examples):
    still = TensorDataset(*examples.tensors)
    made = []

    def sgd(parameters):
        made.append(torch.optim.SGD(parameters, lr=0.0))
        return made[0]

    _, history = train_head(still, still, 3, make_optimizer=sgd, num_epochs=1)
    assert history.lr == [0.0] and len(made) == 1
