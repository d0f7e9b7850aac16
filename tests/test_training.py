"""The loops against independent arithmetic, and what they refuse."""

import copy
import itertools
import math
import sys

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from helpers.metrics import predict
from helpers.training import evaluate, fit, train_one_epoch

WEIGHTS = [1.0, 5.0, 20.0]


class CountingLoader:
    """A loader that counts the batches taken from it."""

    def __init__(self, loader):
        self.loader, self.taken = loader, 0

    def __iter__(self):
        for batch in self.loader:
            self.taken += 1
            yield batch


def numpy_metrics(logits, labels, weights=(1.0, 1.0, 1.0), smoothing=0.0):
    """Cross-entropy and accuracy over the whole set at once, in float64."""
    logits, labels = logits.detach().double().numpy(), labels.numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    weights = np.array(weights)
    loss = -(weights * target * log_p).sum() / weights[labels].sum()
    return loss, np.mean(logits.argmax(axis=1) == labels)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def run(model, loader, make_scheduler=lambda _: None, num_epochs=4, lr=0.1, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    options |= {"scheduler": make_scheduler(optimizer), "verbose": False}
    device, criterion = torch.device("cpu"), nn.CrossEntropyLoss()
    return fit(
        model, loader, loader, criterion, optimizer, device, num_epochs=num_epochs, **options
    )


# ---- the right numbers ---------------------------------------------------------------------------


def test_the_loops_weigh_the_short_last_batch_right(model, examples, loader, criterion, cpu):
    inputs, labels = examples.tensors
    expected = numpy_metrics(model.eval()(inputs), labels)
    assert evaluate(model, loader, criterion, cpu) == pytest.approx(expected, rel=1e-6)
    # the mean of the batches' means, which many tutorials report, is another number
    batch_means = [criterion(model(x), y).item() for x, y in loader]
    assert np.mean(batch_means) != pytest.approx(expected[0], rel=1e-3)
    linear = nn.Linear(5, 3)
    expected = numpy_metrics(linear(inputs), labels)
    found = train_one_epoch(linear, loader, criterion, sgd(linear, lr=0.0), cpu)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_training_follows_gradient_descent_in_float64(weights, examples, loader, cpu):
    """One epoch of plain SGD in ragged batches, against the gradient written out in NumPy."""
    model = nn.Linear(5, 3)
    weight, bias = (p.detach().double().numpy() for p in (model.weight, model.bias))
    criterion = nn.CrossEntropyLoss(None if weights is None else torch.tensor(weights))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    found = train_one_epoch(model, loader, criterion, optimizer, cpu)
    of_class, total_loss, total_weight = np.array(weights or [1.0] * 3), 0.0, 0.0
    for x, y in loader:
        x, y = x.double().numpy(), y.numpy()
        scores = np.exp(x @ weight.T + bias)
        p, w = scores / scores.sum(axis=1, keepdims=True), of_class[y]
        total_loss -= (w * np.log(p[np.arange(len(y)), y])).sum()
        total_weight += w.sum()
        gradient = w[:, None] * (p - np.eye(3)[y]) / w.sum()
        weight = weight - 0.3 * gradient.T @ x
        bias = bias - 0.3 * gradient.sum(axis=0)
    np.testing.assert_allclose(model.weight.detach(), weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.bias.detach(), bias, rtol=1e-4, atol=1e-6)
    assert found.loss == pytest.approx(total_loss / total_weight, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_give_the_mean_of_the_data_set_for_any_batches(
    smoothing, model, examples, cpu
):
    weights = torch.tensor(WEIGHTS)
    criterion = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
    inputs, labels = examples.tensors
    expected = numpy_metrics(model.eval()(inputs), labels, WEIGHTS, smoothing)
    still = sgd(model, lr=0.0)
    for batch_size in (1, 3, 4, 10):
        loader = DataLoader(examples, batch_size)
        assert evaluate(model, loader, criterion, cpu) == pytest.approx(expected, rel=1e-6)
        trained = train_one_epoch(model, loader, criterion, still, cpu, mode=nn.Module.eval)
        assert trained == pytest.approx(expected, rel=1e-6)


def test_weights_of_other_losses_are_used_as_these_use_them(examples, loader, cpu, model):
    """`NLLLoss` divides by the weights, `MultiMarginLoss` by the number of examples."""
    inputs, labels = examples.tensors
    log_softmax = nn.Sequential(nn.Linear(5, 3), nn.LogSoftmax(dim=1))
    expected, _ = numpy_metrics(log_softmax(inputs), labels, WEIGHTS)
    found = evaluate(log_softmax, loader, nn.NLLLoss(weight=torch.tensor(WEIGHTS)), cpu)
    assert found.loss == pytest.approx(expected, rel=1e-6)
    margin = nn.MultiMarginLoss(weight=torch.tensor(WEIGHTS))
    whole = margin(model.eval()(inputs), labels).item()
    assert evaluate(model, loader, margin, cpu).loss == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("max_batches", [1, 2, 3])
def test_max_batches_is_exact(model, examples, loader, criterion, cpu, max_batches):
    train, val = CountingLoader(loader), CountingLoader(loader)
    train_one_epoch(model, train, criterion, sgd(model), cpu, max_batches=max_batches)
    some = evaluate(model, val, criterion, cpu, max_batches=max_batches)
    assert (train.taken, val.taken) == (max_batches, max_batches)
    inputs, labels = (tensor[: 4 * max_batches] for tensor in examples.tensors)
    expected = numpy_metrics(model.eval()(inputs), labels)
    assert some == pytest.approx(expected, rel=1e-6)  # of the examples that were seen
    options = {"num_epochs": 2, "max_batches": max_batches, "verbose": False}
    fit(model, train, val, criterion, sgd(model), cpu, **options)
    assert (train.taken, val.taken) == (3 * max_batches, 3 * max_batches)


def test_measuring_leaves_mode_and_weights_as_they_were(model, loader, criterion, cpu):
    model.train()
    model[1].eval()  # a mixed mode, as a partly frozen network has
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    evaluate(model, loader, criterion, cpu)
    predict(model, loader, cpu)
    broken = DataLoader(TensorDataset(torch.randn(4, 99), torch.zeros(4, dtype=torch.int64)))
    with pytest.raises(RuntimeError):
        evaluate(model, broken, criterion, cpu)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ---- fit -----------------------------------------------------------------------------------------


class Scripted(nn.Module):
    """A network of one number, which each training step raises by one.

    That number says how much larger the logit of label 0 is, for each of three examples: so the
    test writes the script of which epoch is the best.
    """

    def __init__(self, margins):
        super().__init__()
        self.step_count, self.margins = nn.Parameter(torch.zeros(1)), torch.tensor(margins)

    def forward(self, inputs):
        margins = self.margins[round(self.step_count.item())]
        return torch.stack([margins, torch.zeros(3)], dim=1) + 0.0 * self.step_count


class AddOne(torch.optim.Optimizer):
    """An optimizer that adds one to each parameter."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 1.0})

    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data += 1


def test_fit_ends_with_a_copy_of_the_weights_of_the_highest_accuracy(criterion, cpu):
    """Epochs 2 and 4 have the highest accuracy, epoch 3 the lowest loss."""
    wrong, right, surer = [-1.0, -1.0, -1.0], [0.1, 0.1, 0.1], [5.0, 5.0, -0.1]
    model = Scripted([wrong, wrong, right, surer, right, wrong])  # the first: of no epoch
    labels = torch.zeros(3, dtype=torch.int64)
    loader = DataLoader(TensorDataset(torch.zeros(3, 1), labels), 3)
    optimizer = AddOne(model.parameters())
    history = fit(model, loader, loader, criterion, optimizer, cpu, num_epochs=5, verbose=False)
    assert history.val_accuracy == pytest.approx([0, 1, 2 / 3, 1, 0])
    assert min(history.val_loss) == history.val_loss[2]
    assert history.best_epoch == 2  # counted from one; the earliest
    assert model.step_count.item() == 2  # not 3, nor 5, which an alias would give, nor 4


def test_fit_reports_one_line_an_epoch_counted_from_one(model, loader, criterion, cpu, capsys):
    history = fit(model, loader, loader, criterion, sgd(model), cpu, num_epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    assert f"val {history.val_loss[1]:.4f} {100 * history.val_accuracy[1]:5.1f} %" in lines[1]


FOR_EPOCHS = {
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=4),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=4),
    "longer": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10),  # and a part of it is run
    "steps": lambda o: lr_scheduler.StepLR(o, 2),
    "function": lambda o: lr_scheduler.LambdaLR(o, lambda e: np.cos(e / 4)),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, total_iters=1), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("make", FOR_EPOCHS.values(), ids=FOR_EPOCHS)
def test_a_schedule_of_epochs_gives_its_own_rates(make, model, loader):
    """Stepped once an epoch, after the optimizer; also where the rate is a tensor."""
    for lr in (0.1, torch.tensor(0.1)):
        alone = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler, expected = make(alone), []
        for _ in range(4):
            expected.append(float(alone.param_groups[0]["lr"]))
            alone.step()
            scheduler.step()
        assert run(model, loader, make, lr=lr).lr == pytest.approx(expected)


@pytest.mark.parametrize("watch", ["min", "max"])
def test_a_plateau_is_seen_in_loss_or_accuracy(watch, model, loader):
    seen = []

    def plateau(optimizer):
        scheduler = lr_scheduler.ReduceLROnPlateau(
            optimizer, mode=watch, patience=0, factor=0.5, threshold=9, threshold_mode="abs"
        )  # nothing is an improvement
        step = scheduler.step
        scheduler.step = lambda value: (seen.append(value), step(value))
        return scheduler

    history = run(model, loader, plateau)
    assert seen == (history.val_accuracy if watch == "max" else history.val_loss)
    assert history.lr == [0.1, 0.1, 0.05, 0.025]


# ---- what they refuse ----------------------------------------------------------------------------

LOSSES = {
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "give it reduction='mean'"),
    "function": (lambda x, y: nn.functional.cross_entropy(x, y, reduction="none"), "must average"),
    "ignored": (nn.CrossEntropyLoss(ignore_index=2), "ignores a label: leave its examples out"),
    "of logits": (nn.NLLLoss(), "NLLLoss takes log-probabilities: give logits to nn.CrossEnt"),
    "of logits, weighted": (nn.NLLLoss(torch.tensor(WEIGHTS)), "takes log-probabilities"),
    "of logits, a function": (
        lambda x, y: nn.functional.nll_loss(x + 9, y), "takes log-probabilities"
    ),
}  # fmt: skip


def test_softmax_twice_is_refused(loader, criterion, cpu):
    model = nn.Sequential(nn.Linear(5, 3), nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="takes logits, not probabilities: leave out the softmax"):
        evaluate(model, loader, criterion, cpu)


@pytest.mark.parametrize(("criterion", "message"), LOSSES.values(), ids=LOSSES)
def test_a_criterion_that_gives_no_mean_is_refused_before_a_step(
    criterion, message, model, loader, cpu
):
    before = model[0].weight.detach().clone()
    with pytest.raises(ValueError, match=message):
        train_one_epoch(model, loader, criterion, sgd(model), cpu)
    assert torch.equal(model[0].weight, before)
    with pytest.raises(ValueError, match=message):
        evaluate(model, loader, criterion, cpu)


def test_an_optimizer_of_another_model_is_refused_and_what_it_leaves_out_is_named(
    model, loader, criterion, cpu, recwarn
):
    """As when a cell is run again, and only one of the two is made anew."""
    other = copy.deepcopy(model)
    both = torch.optim.Adam([*model.parameters(), *other.parameters()])
    for stale in (sgd(other), both, torch.optim.SGD(other[0].parameters(), lr=0.0)):
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(ValueError, match="optimizer has parameters of another model: make it"):
            fit(model, loader, loader, criterion, stale, cpu, num_epochs=1)
        with pytest.raises(ValueError, match="of another model"):
            train_one_epoch(model, loader, criterion, stale, cpu)
        assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    optimizer, stale = sgd(model), lr_scheduler.StepLR(sgd(model), 2)
    with pytest.raises(ValueError, match="the schedule is of another optimizer: make it anew"):
        fit(model, loader, loader, criterion, optimizer, cpu, num_epochs=1, scheduler=stale)
    model[:3].requires_grad_(False)
    learned = nn.CrossEntropyLoss()
    learned.temperature = nn.Parameter(torch.ones(1))  # trained with the model, in no part of it
    for fitting in (sgd(model), sgd(model[3]), sgd(nn.ModuleList([model, learned]), lr=0.0)):
        train_one_epoch(model, loader, learned, fitting, cpu)
    assert [warning.message for warning in recwarn] == []
    model.requires_grad_(True)  # "and now all of it", with the optimizer of before
    with pytest.warns(UserWarning, match=r"4 trainable parameters .* such as 0.weight: make it"):
        fit(model, loader, loader, criterion, sgd(model[3]), cpu, num_epochs=1)


LABELS = {
    "ignored": ([0, -100], "labels go from -100 to 0, outputs from 0 to 2: build the model with"),
    "too many": ([0, 3], "labels go from 0 to 3, outputs from 0 to 2"),
    "one-hot": ([[0, 1, 0], [1, 0, 0]], r"gave \(2, 3\) for labels \(2, 3\): it should give \(B, "),
}


@pytest.mark.parametrize(("labels", "message"), LABELS.values(), ids=LABELS)
def test_labels_that_fit_no_output_are_named(labels, message, criterion, cpu):
    loader = DataLoader(TensorDataset(torch.zeros(2, 5), torch.tensor(labels)), 2)
    with pytest.raises(ValueError, match=message):
        evaluate(nn.Linear(5, 3), loader, criterion, cpu)


def test_a_loader_without_a_batch_is_an_error_that_says_so(model, examples, criterion, cpu):
    empty = DataLoader(examples, batch_size=64, drop_last=True)
    optimizer = sgd(model)
    for call in (
        lambda: train_one_epoch(model, empty, criterion, optimizer, cpu),
        lambda: evaluate(model, empty, criterion, cpu),
        lambda: predict(model, empty, cpu),
        lambda: fit(model, empty, empty, criterion, optimizer, cpu, num_epochs=2),
        lambda: run(model, empty, lambda o: lr_scheduler.CosineAnnealingLR(o, 4)),
    ):
        with pytest.raises(ValueError, match="the loader gave no batch"):
            call()


FOR_BATCHES = {  # three batches an epoch, four epochs
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, epochs=4, steps_per_epoch=3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=12),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1),
}


@pytest.mark.parametrize("make", FOR_BATCHES.values(), ids=FOR_BATCHES)
def test_a_schedule_of_batches_is_refused_before_any_training(make, model, loader):
    before = model[0].weight.detach().clone()
    for options in ({}, {"max_batches": 2}):
        with pytest.raises(ValueError, match="counts batches, but `fit` steps it once an epoch"):
            run(model, loader, make, **options)
    assert torch.equal(model[0].weight, before)


def test_a_schedule_at_its_end_is_refused(model, loader, criterion, cpu):
    optimizer = sgd(model)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    options = {"num_epochs": 2, "scheduler": scheduler, "verbose": False}
    fit(model, loader, loader, criterion, optimizer, cpu, **options)
    with pytest.raises(ValueError, match="schedule ended after 2 steps: make it anew"):
        fit(model, loader, loader, criterion, optimizer, cpu, **options)


# ---- breaks --------------------------------------------------------------------------------------


def in_forward_pass(model, number, spoil):
    """Let `spoil` change a model's output in its `number`th forward pass, or raise."""
    calls = itertools.count(1)
    model.register_forward_hook(lambda _, __, out: spoil(out) if next(calls) == number else None)


def interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("number", [13 + 2, 13 + 5])  # six passes an epoch: of training, of val
@pytest.mark.parametrize("loss", [None, math.nan, math.inf], ids=["interrupt", "nan", "inf"])
def test_whatever_stops_it_the_model_has_its_best_weights(number, loss, loader):
    """In the third epoch, while it trains or is measured: as if it had been asked for two."""
    models = [nn.Linear(5, 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    whole = run(models[0], loader, num_epochs=2)
    spoil = interrupt if loss is None else lambda out: out - torch.tensor([0, loss, loss])
    in_forward_pass(models[1], number, spoil)
    with pytest.raises((KeyboardInterrupt, FloatingPointError)) as caught:
        run(models[1], loader, num_epochs=5)
    if loss is None:
        assert caught.value.history.train_loss == whole.train_loss
    else:
        assert caught.match(f"the loss is {loss}: lower the learning rate")
    for name, value in models[1].state_dict().items():
        assert torch.equal(value, models[0].state_dict()[name])


def test_in_a_notebook_the_history_of_an_interrupted_training_is_at_hand(loader):
    """As the stop button does it: the cell ends in an error, and the next cell has it all."""
    shell, model = InteractiveShell(), nn.Linear(5, 3)
    in_forward_pass(model, 13, interrupt)
    shell.user_ns |= {"model": model, "loader": loader, "run": run}
    result = shell.run_cell("for seed in range(3):\n    history = run(model, loader)")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)  # not swallowed by the loop
    result = shell.run_cell("import sys\nhistory = sys.last_value.history\nlen(history.lr)")
    assert result.result == 2 and shell.user_ns["history"].best_epoch in (1, 2)
    del sys.last_value
