"""Frozen means frozen, weights and statistics alike; a strategy trains what it says, no more."""

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import assets, data
from helpers.features import extract_features
from helpers.metrics import predict
from helpers.models import (
    STRATEGIES,
    LowRank,
    build,
    changed,
    count_parameters,
    eval_mode,
    fixed_statistics,
    resnet18,
    snapshot,
    train_mode,
    train_only,
    trainable_parameters,
)
from helpers.training import batch_loss, evaluate, fit, train_one_epoch

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def pictures():
    """Nine pictures in two classes: with batches of four, the last holds one."""
    return TensorDataset(torch.randn(9, 3, 64, 64) + 1, torch.arange(9) % 2)


def sgd(model):
    return torch.optim.SGD(trainable_parameters(model), lr=0.1, momentum=0.9)


def test_requires_grad_alone_lets_batchnorm_drift(pictures, criterion, cpu):
    """The tutorial's bug is there to be seen, and `changed` sees it."""
    model = resnet18(2, freeze=True)
    before = snapshot(model)
    train_one_epoch(
        model, DataLoader(pictures, 4), criterion, sgd(model), cpu, mode=nn.Module.train
    )
    drifted = changed(model, before)
    assert "bn1.running_mean" in drifted and "layer4.1.bn2.running_var" in drifted
    assert "conv1.weight" not in drifted


def test_train_mode_spares_only_what_is_frozen():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()),
        nn.Sequential(nn.Dropout(), nn.Linear(2, 2)),
    )
    model[0].requires_grad_(False)
    train_mode(model)
    assert not any(module.training for module in model[0].modules())
    assert all(module.training for module in model[1].modules())
    model[0].requires_grad_(True)
    train_mode(model)
    assert all(module.training for module in model.modules())
    model[0][1].requires_grad_(False)  # a layer alone
    train_mode(model)
    assert [module.training for module in model[0]] == [True, False, True]


def bare():
    return nn.BatchNorm1d(2, affine=False)


def frozen_linear():
    return nn.Linear(2, 2).requires_grad_(False)


@pytest.mark.parametrize(
    ("model", "place", "trains"),
    [
        (nn.Sequential(nn.Sequential(frozen_linear(), bare()), nn.Linear(2, 2)), (0, 1), False),
        (nn.Sequential(frozen_linear(), nn.Sequential(bare()), nn.Linear(2, 2)), (1, 0), False),
        (nn.Sequential(nn.Linear(2, 2), bare(), frozen_linear()), 1, True),
        (nn.Sequential(frozen_linear(), nn.Linear(2, 2), bare()), 2, True),
        (nn.Sequential(bare(), frozen_linear()), 0, False),
        (nn.Sequential(frozen_linear(), nn.Dropout(), nn.Linear(2, 2)), 1, True),
    ],
)
def test_a_normalization_without_parameters_goes_with_the_layer_before_it(model, place, trains):
    """And a Dropout between a frozen layer and the head is the head's: it is trained with."""
    train_mode(model)
    layer = model.get_submodule(".".join(map(str, place if isinstance(place, tuple) else (place,))))
    assert layer.training == trains


def test_a_frozen_network_with_bare_normalizations_is_bit_identical(pictures, criterion, cpu):
    """Also the first one, which is no part of a block but lies beside the head."""
    model = resnet18(2, freeze=True)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.BatchNorm2d(child.num_features, affine=False))
    before = snapshot(model)
    train_one_epoch(model, DataLoader(pictures, 4), criterion, sgd(model), cpu)
    assert changed(model, before) == ["fc.weight", "fc.bias"]


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


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_of_another_network_are_refused(tmp_path, suffix):
    path, whole = tmp_path / f"weights.{suffix}", resnet18(2, weights=None).state_dict()
    statistics = "layer4.1.bn2.running_var"
    more = {"layer5.weight": torch.zeros(1)}
    for state, message in (
        ({key: value for key, value in whole.items() if key != statistics}, rf"\['{statistics}'\]"),
        (whole | more, r"it lacks \[\], brings \['layer5.weight'\]"),
    ):
        torch.save(state, path) if suffix == "pth" else safetensors.torch.save_file(state, path)
        with pytest.raises(ValueError, match=f"is of another network: .*{message}"):
            resnet18(2, weights=path)


def test_weights_are_found_in_what_people_save_and_a_whole_model_is_refused(tmp_path):
    """Of a DataParallel, within a dictionary, or both; with a head of other classes."""
    model, path = resnet18(7, weights=None), tmp_path / "weights.pth"
    parallel = nn.DataParallel(model)
    for saved in (
        parallel.state_dict(), {"state_dict": model.state_dict(), "epoch": 3},
        {"model_state_dict": parallel.state_dict()}, {"model": model.state_dict()},
    ):  # fmt: skip
        torch.save(saved, path)
        loaded = resnet18(2, weights=path)
        assert changed(loaded, model.state_dict()) == ["fc.weight", "fc.bias"]
    torch.save(model, path)
    with pytest.raises(ValueError, match=r"pth holds more than weights, .*save model.state_dict"):
        resnet18(2, weights=path)
    with pytest.raises(ValueError, match="this is a DataParallel: give the ResNet in it"):
        train_only(parallel, "head")


def test_the_seed_decides_the_head():
    torch.manual_seed(3)
    one = resnet18(2).fc.weight
    torch.manual_seed(3)
    assert torch.equal(one, resnet18(2).fc.weight)


STRENGTH = 0.05  # scikit-learn's C


@pytest.fixture(scope="module")
def problem():
    """64 of the frozen backbone's features, standardized, in float64; and scikit-learn's head."""
    loaders = data.cifar10(edition="rendered", num_train=500)
    backbone = resnet18(10, weights=assets.backbone("rendered").path)
    (x, y), (other_x, other_y) = (
        extract_features(backbone, loader, torch.device("cpu")).tensors
        for loader in (loaders.train, loaders.val)
    )
    x, other_x = x[:, ::8].double(), other_x[:, ::8].double()
    mean, std = x.mean(dim=0), x.std(dim=0)
    train = TensorDataset((x - mean) / std, y)
    val = TensorDataset((other_x - mean) / std, other_y)
    oracle = LogisticRegression(C=STRENGTH, tol=1e-8, solver="newton-cg")
    return train, val, oracle.fit(*(tensor.numpy() for tensor in train.tensors))


def objective(head, loss):
    """What scikit-learn minimizes, divided by C and the 500 examples: mean loss and L2 penalty."""
    return loss + head.weight.square().sum() / (2 * STRENGTH * 500)


def test_a_head_trained_to_the_end_is_logistic_regression(problem, criterion, cpu):
    """The same problem, solved with our loss and with scikit-learn's, has the same solution."""
    train, val, oracle = problem
    inputs, labels = train.tensors
    head = nn.Linear(64, 10).double()
    settings = {"max_iter": 500, "tolerance_grad": 1e-9, "tolerance_change": 1e-15}
    settings |= {"history_size": 20, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS(head.parameters(), **settings)

    def closure():
        optimizer.zero_grad()
        total = objective(head, batch_loss(criterion, head(inputs), labels)[0])
        total.backward()
        return total

    optimizer.step(closure)
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    np.testing.assert_allclose(weight, oracle.coef_, rtol=0, atol=1e-5)
    # up to a shift that all classes share: it changes no probability
    found, expected = bias - bias.mean(), oracle.intercept_ - oracle.intercept_.mean()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    loader = DataLoader(val, 64)  # whose last batch holds 52
    logits, labels = predict(head, loader, cpu)
    theirs = oracle.predict_proba(val.tensors[0].numpy())
    np.testing.assert_allclose(logits.softmax(dim=1).numpy(), theirs, rtol=0, atol=1e-5)
    loss, accuracy = evaluate(head, loader, criterion, cpu)
    assert loss == pytest.approx(log_loss(labels, theirs), abs=1e-5)
    assert accuracy == pytest.approx(accuracy_score(labels, theirs.argmax(axis=1)), abs=1e-12)
    assert 0.3 < accuracy < 0.98  # neither hopeless nor trivial


def test_fit_comes_close_to_the_best_head(problem, criterion, cpu):
    """SGD, a batch at a time: within three per cent of the least that any head can reach."""
    train, _, oracle = problem
    loader = DataLoader(train, 60, shuffle=True)  # whose last batch holds 20
    best, head = (nn.Linear(64, 10).double() for _ in range(2))
    best.load_state_dict(
        {"weight": torch.from_numpy(oracle.coef_), "bias": torch.from_numpy(oracle.intercept_)}
    )
    decay = {"params": [head.weight], "weight_decay": 1 / (STRENGTH * 500)}
    optimizer = torch.optim.SGD([decay, {"params": [head.bias]}], lr=0.03, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 25)

    def reached(head):
        return objective(head, evaluate(head, loader, criterion, cpu).loss).item()

    least, before = reached(best), reached(head)
    options = {"num_epochs": 25, "scheduler": scheduler, "verbose": False}
    fit(head, loader, loader, criterion, optimizer, cpu, **options)
    assert least <= reached(head) < 1.03 * least < 0.7 * before


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


# ---- strategies ----------------------------------------------------------------------------------


@pytest.fixture
def few():
    """Five pictures in two classes: with batches of three, the last holds two."""
    return TensorDataset(torch.randn(5, 3, 32, 32), torch.arange(5) % 2)


def train(model, few, mode=train_mode):
    loader, device = DataLoader(few, 3), torch.device("cpu")
    for _ in range(2):
        train_one_epoch(model, loader, nn.CrossEntropyLoss(), sgd(model), device, mode=mode)


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
def test_a_strategy_trains_what_it_says_and_nothing_else(name, strategy, few):
    model = build(name, 2)
    train_only(model, strategy)
    before = snapshot(model)
    train(model, few, mode=fixed_statistics)
    parameters = {key for key, _ in model.named_parameters()}
    assert set(changed(model, before)) == {
        key for key in parameters if strategy in trained(name, key)
    }


@pytest.mark.parametrize(
    ("name", "first"),
    {
        "densenet121": "features.transition3.",  # timm ends these three with a layer of no weights
        "resnet32ts": "stages.3.", "vgg11": "pre_logits.", "convnext_atto": "stages.3.",
    }.items(),
)  # fmt: skip
def test_the_last_stage_is_one_with_layers(name, first):
    with torch.device("meta"):
        model = timm.create_model(name)
    train_only(model, "last stage")
    frozen = [parameter.requires_grad for _, parameter in model.named_parameters()].index(True)
    names = [key for key, _ in model.named_parameters()]
    assert names[frozen].startswith(first) and not names[frozen - 1].startswith(first)
    assert all(parameter.requires_grad for parameter in list(model.parameters())[frozen:])


@pytest.mark.parametrize("name", ["resnet18", LITE0, "convnext_atto"])
def test_low_rank_begins_as_the_network_was_and_trains_the_additions_alone(name, few):
    model = build(name, 2, weights=None if name == "convnext_atto" else "pretrained")
    inputs = few.tensors[0]
    with eval_mode(model), torch.no_grad():
        logits = model(inputs)
        train_only(model, "low rank", rank=2)
        torch.testing.assert_close(model(inputs), logits, rtol=1e-4, atol=1e-5)
    before = snapshot(model)
    train(model, few)
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


def test_the_mode_decides_whether_statistics_move(few):
    for mode, moved in ((train_mode, True), (fixed_statistics, False)):
        model = build(LITE0, 2)
        train_only(model, "normalization")
        before = snapshot(model)
        train(model, few, mode=mode)
        assert any("running" in key for key in changed(model, before)) == moved
    layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    fixed_statistics(layers)
    assert [layer.training for layer in layers] == [True, False, True]


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match=r"strategy is .top.: choose one of head, "):
        train_only(build("resnet18", 2, weights=None), "top")
