"""The loops against independent arithmetic, and against every bug of the tutorial they replace."""

import copy
import math
import os

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.metrics import History, Metrics, accuracy_interval, predict
from helpers.training import evaluate, fit, train_one_epoch


class CountingLoader:
    """A loader that counts the batches taken from it."""

    def __init__(self, loader):
        self.loader, self.taken = loader, 0

    def __iter__(self):
        for batch in self.loader:
            self.taken += 1
            yield batch


def numpy_metrics(logits, labels):
    """Cross-entropy and accuracy over the whole set at once, in float64."""
    logits, labels = logits.numpy().astype(np.float64), labels.numpy()
    log_normalizer = np.log(np.exp(logits).sum(axis=1))
    loss = np.mean(log_normalizer - logits[np.arange(len(labels)), labels])
    return loss, np.mean(logits.argmax(axis=1) == labels)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def test_evaluate_weighs_the_short_last_batch_right(model, examples, loader, criterion, cpu):
    inputs, labels = examples.tensors
    model.eval()
    with torch.no_grad():
        expected = numpy_metrics(model(inputs), labels)
    assert evaluate(model, loader, criterion, cpu) == pytest.approx(expected, rel=1e-6)
    # the mean of the batches' means, which many tutorials report, is another number
    batch_means = [criterion(model(x), y).item() for x, y in loader]
    assert np.mean(batch_means) != pytest.approx(expected[0], rel=1e-3)


def test_train_one_epoch_weighs_the_short_last_batch_right(examples, loader, criterion, cpu):
    model = nn.Linear(5, 3)
    inputs, labels = examples.tensors
    expected = numpy_metrics(model(inputs).detach(), labels)
    found = train_one_epoch(model, loader, criterion, sgd(model, lr=0.0), cpu)
    assert found == pytest.approx(expected, rel=1e-6)


def test_training_follows_gradient_descent_in_float64(examples, criterion, cpu):
    """One epoch of plain SGD on a linear model, against the gradient written out in NumPy."""
    model = nn.Linear(5, 3)
    weight = model.weight.detach().numpy().astype(np.float64)
    bias = model.bias.detach().numpy().astype(np.float64)
    loader = DataLoader(examples, batch_size=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    train_one_epoch(model, loader, criterion, optimizer, cpu)
    for x, y in loader:
        x, y = x.numpy().astype(np.float64), y.numpy()
        scores = np.exp(x @ weight.T + bias)
        gradient = scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[y]
        weight -= 0.3 * gradient.T @ x / len(y)
        bias -= 0.3 * gradient.mean(axis=0)
    np.testing.assert_allclose(model.weight.detach().numpy(), weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.bias.detach().numpy(), bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("max_batches", [1, 2, 3])
def test_max_batches_is_exact(model, loader, criterion, cpu, max_batches):
    counting = CountingLoader(loader)
    train_one_epoch(model, counting, criterion, sgd(model), cpu, max_batches=max_batches)
    assert counting.taken == max_batches
    counting = CountingLoader(loader)
    evaluate(model, counting, criterion, cpu, max_batches=max_batches)
    assert counting.taken == max_batches


def test_metrics_of_some_batches_are_those_of_their_examples(model, examples, criterion, cpu):
    inputs, labels = examples.tensors
    loader = DataLoader(examples, batch_size=4)
    first_eight = DataLoader(TensorDataset(inputs[:8], labels[:8]), batch_size=8)
    some = evaluate(model, loader, criterion, cpu, max_batches=2)
    assert some == pytest.approx(evaluate(model, first_eight, criterion, cpu), rel=1e-6)


def test_fit_passes_max_batches_to_both_loops(model, loader, criterion, cpu):
    train, val = CountingLoader(loader), CountingLoader(loader)
    fit(model, train, val, criterion, sgd(model), cpu, num_epochs=3, max_batches=1, verbose=False)
    assert (train.taken, val.taken) == (3, 3)


def test_evaluate_leaves_mode_and_weights_as_they_were(model, loader, criterion, cpu):
    model.train()
    model[1].eval()  # a mixed mode, as a partly frozen network has
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    evaluate(model, loader, criterion, cpu)
    predict(model, loader, cpu)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_evaluate_restores_the_mode_after_an_error_too(model, criterion, cpu):
    model.train()
    broken = DataLoader(TensorDataset(torch.randn(4, 99), torch.zeros(4, dtype=torch.int64)))
    with pytest.raises(RuntimeError):
        evaluate(model, broken, criterion, cpu)
    assert all(module.training for module in model.modules())


def test_predict_returns_every_example_in_order(model, examples, loader, cpu):
    logits, labels = predict(model, loader, cpu)
    model.eval()
    torch.testing.assert_close(logits, model(examples.tensors[0]).detach())
    assert torch.equal(labels, examples.tensors[1])


class Scripted(nn.Module):
    """A network of one number, which each training step raises by one.

    Its logits are right for the label 0 while that number is in `good`: so the test writes the
    script of which epoch is the best.
    """

    def __init__(self, good):
        super().__init__()
        self.step_count, self.good = nn.Parameter(torch.zeros(1)), good

    def forward(self, inputs):
        sign = 1.0 if round(self.step_count.item()) in self.good else -1.0
        logits = torch.tensor([sign, 0.0]).repeat(len(inputs), 1)
        return logits + 0.0 * self.step_count


class AddOne(torch.optim.Optimizer):
    """An optimizer that adds one to each parameter."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 1.0})

    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data += 1


@pytest.fixture
def zeros():
    return DataLoader(TensorDataset(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64)), 3)


def test_fit_ends_with_a_copy_of_the_best_weights(zeros, criterion, cpu):
    model = Scripted(good={2, 4})  # one step an epoch: epoch 2 is the best, and 4 ties with it
    history = fit(
        model, zeros, zeros, criterion, AddOne(model.parameters()), cpu, num_epochs=5, verbose=False
    )
    assert history.val_accuracy == [0, 1, 0, 1, 0]
    assert history.best_epoch == 2  # counted from one; the earliest
    assert model.step_count.item() == 2  # neither 5, which an alias would give, nor 4


def test_the_scheduler_steps_once_an_epoch_after_the_optimizer(model, loader, criterion, cpu):
    optimizer = sgd(model, lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    history = fit(
        model, loader, loader, criterion, optimizer, cpu,
        num_epochs=5, scheduler=scheduler, verbose=False,
    )  # fmt: skip
    assert history.lr == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert scheduler.last_epoch == 5


def test_history_has_an_entry_an_epoch_in_its_own_column():
    history = History()
    history.append(Metrics(1.0, 0.1), Metrics(2.0, 0.2), lr=0.3, seconds=4.0)
    history.append(Metrics(0.9, 0.3), Metrics(1.8, 0.4), lr=0.2, seconds=5.0)
    assert history == History(
        [1.0, 0.9], [0.1, 0.3], [2.0, 1.8], [0.2, 0.4], [0.3, 0.2], [4.0, 5.0]
    )


def test_fit_reports_one_line_an_epoch_counted_from_one(model, loader, criterion, cpu, capsys):
    fit(model, loader, loader, criterion, sgd(model), cpu, num_epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]


def train_with_dropout(examples, cpu, num_epochs, **where):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    shuffling = torch.Generator().manual_seed(1)
    loader = DataLoader(examples, 4, shuffle=True, generator=shuffling)
    history = fit(
        model, loader, loader, nn.CrossEntropyLoss(), optimizer, cpu,
        num_epochs=num_epochs, scheduler=scheduler, verbose=False, **where,
    )  # fmt: skip
    return model, history


def test_resumed_training_equals_the_uninterrupted_one(examples, cpu, tmp_path):
    path = tmp_path / "checkpoint.pt"
    whole_model, whole = train_with_dropout(examples, cpu, 6)
    train_with_dropout(examples, cpu, 3, checkpoint=path)
    model, history = train_with_dropout(examples, cpu, 6, checkpoint=path, resume=path)
    assert (history.train_loss, history.val_loss, history.lr) == (
        whole.train_loss, whole.val_loss, whole.lr,
    )  # fmt: skip
    for name, value in model.state_dict().items():
        assert torch.equal(value, whole_model.state_dict()[name]), name


def test_a_checkpoint_that_fails_to_be_written_leaves_the_earlier_one(
    examples, cpu, tmp_path, monkeypatch
):
    path = tmp_path / "checkpoint.pt"
    train_with_dropout(examples, cpu, 1, checkpoint=path)
    earlier = path.read_bytes()

    def full_disk(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.warns(UserWarning, match=r"no checkpoint of epoch 2 \(no space left"):
        _, history = train_with_dropout(examples, cpu, 2, checkpoint=path, resume=path)
    assert path.read_bytes() == earlier and list(tmp_path.iterdir()) == [path]
    assert len(history.lr) == 2


def test_a_missing_folder_for_the_checkpoint_is_noticed_before_training(
    model, loader, criterion, cpu, tmp_path
):
    counting = CountingLoader(loader)
    with pytest.raises(FileNotFoundError, match="make it first"):
        fit(
            model, counting, loader, criterion, sgd(model), cpu,
            num_epochs=1, checkpoint=tmp_path / "missing" / "checkpoint.pt",
        )  # fmt: skip
    assert counting.taken == 0


def test_a_missing_or_foreign_checkpoint_is_named(model, loader, criterion, cpu, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        fit(model, loader, loader, criterion, sgd(model), cpu, num_epochs=1, resume=path)
    fit(model, loader, loader, criterion, sgd(model), cpu, num_epochs=1, checkpoint=path)
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match=r"set up otherwise: scheduler was not there, is StepLR"):
        fit(
            model, loader, loader, criterion, optimizer, cpu,
            num_epochs=2, scheduler=scheduler, resume=path,
        )  # fmt: skip


@pytest.mark.parametrize("run", ["train", "evaluate", "predict"])
def test_a_loader_without_a_batch_is_an_error_that_says_so(run, model, examples, criterion, cpu):
    empty = DataLoader(examples, batch_size=64, drop_last=True)
    with pytest.raises(ValueError, match="the loader gave no batch"):
        if run == "train":
            train_one_epoch(model, empty, criterion, sgd(model), cpu)
        elif run == "evaluate":
            evaluate(model, empty, criterion, cpu)
        else:
            predict(model, empty, cpu)


def test_a_head_that_is_too_small_is_named(loader, criterion, cpu):
    model = nn.Linear(5, 2)
    with pytest.raises(ValueError, match="a label is 2, but the model has 2 outputs"):
        train_one_epoch(model, loader, criterion, sgd(model), cpu)


def test_a_nan_loss_stops_with_epoch_and_learning_rate(model, loader, criterion, cpu):
    optimizer = sgd(model, lr=0.25)
    with torch.no_grad():
        model[0].weight[0, 0] = math.nan
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FloatingPointError, match="the loss is nan in batch 1: lower the") as caught:
        fit(model, loader, loader, criterion, optimizer, cpu, num_epochs=2)
    (note,) = caught.value.__notes__
    assert "epoch 1, at a learning rate of 0.25. The model has its best" in note
    # stopped before the step: no weight has moved
    torch.testing.assert_close(model[3].weight, before["3.weight"])


def test_accuracy_interval_is_wilsons():
    # the interval of 145 right of 153, as published with PyTorch's own result
    assert accuracy_interval(145 / 153, 153) == pytest.approx((0.900, 0.973), abs=5e-4)
    low, high = accuracy_interval(1.0, 20)
    assert low < 0.9 and high == pytest.approx(1.0)
