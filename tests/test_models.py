"""Frozen means frozen: weights and BatchNorm's statistics alike."""

import pytest
import safetensors.torch
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import assets, data
from helpers.features import extract_features
from helpers.metrics import predict
from helpers.models import (
    changed,
    count_parameters,
    eval_mode,
    freeze_parameters,
    parameter_groups,
    resnet18,
    snapshot,
    train_mode,
    trainable_parameters,
    unfreeze_parameters,
)
from helpers.training import fit, train_one_epoch


@pytest.fixture
def pictures():
    """Nine pictures in two classes: with batches of four, the last holds one."""
    return TensorDataset(torch.randn(9, 3, 64, 64) + 1, torch.arange(9) % 2)


def sgd(model):
    return torch.optim.SGD(trainable_parameters(model), lr=0.1, momentum=0.9)


def test_a_frozen_backbone_is_bit_identical_after_training(pictures, criterion, cpu):
    model = resnet18(2, freeze=True)
    before = snapshot(model)
    fit(
        model, DataLoader(pictures, 4), DataLoader(pictures, 4), criterion, sgd(model), cpu,
        num_epochs=2, verbose=False,
    )  # fmt: skip
    assert changed(model, before) == ["fc.weight", "fc.bias"]


def test_requires_grad_alone_lets_batchnorm_drift(pictures, criterion, cpu, monkeypatch):
    """The tutorial's bug is there to be seen, and `changed` sees it."""
    monkeypatch.setattr("helpers.training.train_mode", nn.Module.train)
    model = resnet18(2, freeze=True)
    before = snapshot(model)
    train_one_epoch(model, DataLoader(pictures, 4), criterion, sgd(model), cpu, max_batches=2)
    drifted = changed(model, before)
    assert "bn1.running_mean" in drifted and "layer4.1.bn2.running_var" in drifted
    assert "conv1.weight" not in drifted


def test_parameter_groups_hold_every_trainable_parameter_once():
    model = resnet18(2)
    groups = parameter_groups(model, lr=0.1, head_lr=0.2)
    assert [group["lr"] for group in groups] == [0.2, 0.1]
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped)) and set(grouped) == set(model.parameters())
    assert groups[0]["params"] == list(model.fc.parameters())

    frozen = resnet18(2, freeze=True)
    (head,) = parameter_groups(frozen, lr=0.1, head_lr=0.2)
    assert head == {"params": list(frozen.fc.parameters()), "lr": 0.2}


def test_fine_tuning_changes_every_parameter(pictures, criterion, cpu):
    model = resnet18(2)
    before = snapshot(model)
    train_one_epoch(model, DataLoader(pictures, 4), criterion, sgd(model), cpu, max_batches=2)
    assert set(changed(model, before)) == set(before)


def test_train_mode_spares_only_what_is_frozen():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()),
        nn.Sequential(nn.Dropout(), nn.Linear(2, 2)),
    )
    freeze_parameters(model[0])
    train_mode(model)
    assert not any(module.training for module in model[0].modules())
    assert all(module.training for module in model[1].modules())
    unfreeze_parameters(model[0])
    train_mode(model)
    assert all(module.training for module in model.modules())


def test_a_layer_frozen_alone_stays_in_evaluation_mode():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    freeze_parameters(model[0])
    train_mode(model)
    assert [layer.training for layer in model] == [False, True, True]


def test_eval_mode_gives_back_a_mixed_mode():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    model[0].eval()
    with eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, False, True]


@pytest.mark.parametrize(
    ("num_classes", "total", "trainable"),
    [(10, 11_181_642, 5_130), (2, 11_177_538, 1_026)],
)
def test_parameter_counts(num_classes, total, trainable):
    assert count_parameters(resnet18(num_classes, weights=None)) == (total, total)
    assert count_parameters(resnet18(num_classes, freeze=True)) == (total, trainable)


def test_the_embedded_backbone_is_loaded_whole():
    stored = safetensors.torch.load_file(assets.backbone("rendered").path)
    model = resnet18(2)
    for name, value in model.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, stored[name].to(value.dtype)), name
    assert torch.get_default_dtype() == model.conv1.weight.dtype


def test_weights_from_a_file_of_ones_own(tmp_path):
    trained = resnet18(5, weights=None)
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    model = resnet18(2, weights=tmp_path / "mine.pth")
    assert torch.equal(model.layer4[1].conv2.weight, trained.layer4[1].conv2.weight)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit this network"):
        resnet18(2, weights=tmp_path / "other.pth")


def test_the_seed_decides_the_head():
    torch.manual_seed(3)
    one = resnet18(2).fc.weight
    torch.manual_seed(3)
    assert torch.equal(one, resnet18(2).fc.weight)


def test_a_head_on_features_gives_the_logits_of_the_whole_network(pictures, cpu):
    model = resnet18(2, freeze=True)
    model.train()
    model.bn1.eval()
    modes = [module.training for module in model.modules()]
    loader = DataLoader(pictures, 4)
    features = extract_features(model, loader, cpu)
    assert features.tensors[0].shape == (9, 512)
    assert [module.training for module in model.modules()] == modes
    logits, labels = predict(model, loader, cpu)
    torch.testing.assert_close(model.fc(features.tensors[0]).detach(), logits, rtol=0, atol=1e-5)
    assert torch.equal(labels, features.tensors[1])


def test_a_trained_head_is_as_good_as_logistic_regression(criterion, cpu):
    """Ten classes, one backbone: our head and scikit-learn's differ by no more than noise."""
    loaders = data.cifar10(edition="rendered", size=32)
    backbone = resnet18(10, weights=assets.backbone("rendered").path)
    train = extract_features(backbone, loaders.train, cpu)
    test = extract_features(backbone, loaders.test, cpu)
    x, y = test.tensors

    oracle = LogisticRegression(C=0.1, max_iter=1000).fit(*(t.numpy() for t in train.tensors))
    theirs = torch.from_numpy(oracle.predict(x.numpy())) == y

    head = nn.Linear(512, 10)
    penalty = 1 / (0.1 * len(train))  # as strong as C = 0.1, for a loss that is a mean
    optimizer = torch.optim.SGD(head.parameters(), lr=0.02, momentum=0.9, weight_decay=penalty)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    loader = DataLoader(train, 64, shuffle=True)
    for _ in range(60):
        train_one_epoch(head, loader, criterion, optimizer, cpu)
        scheduler.step()
    ours = head(x).argmax(dim=1) == y

    only_ours = (ours & ~theirs).sum().item()
    only_theirs = (theirs & ~ours).sum().item()
    assert 0.3 < theirs.float().mean() < 0.98  # neither hopeless nor trivial
    # McNemar: if both are equally good, the difference has this standard deviation
    assert abs(only_ours - only_theirs) <= 1.96 * (only_ours + only_theirs) ** 0.5 + 1


def test_training_the_head_on_features_is_training_the_frozen_network(pictures, criterion, cpu):
    loader = DataLoader(pictures, 4)
    model = resnet18(2, freeze=True)
    features = DataLoader(extract_features(model, loader, cpu), 4)
    head = nn.Linear(512, 2)
    head.load_state_dict(model.fc.state_dict())
    options = {"num_epochs": 2, "verbose": False}
    whole = fit(model, loader, loader, criterion, sgd(model), cpu, **options)
    quick = fit(head, features, features, criterion, sgd(head), cpu, **options)
    assert quick.val_loss == pytest.approx(whole.val_loss, rel=1e-4)
    torch.testing.assert_close(head.weight, model.fc.weight, rtol=1e-3, atol=1e-5)
