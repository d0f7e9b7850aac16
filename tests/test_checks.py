"""What the loops make of criteria and schedules: the right mean, or a refusal in words."""

import itertools
import sys

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from helpers.training import TrainingInterrupted, evaluate, fit, train_one_epoch

WEIGHTS = [1.0, 5.0, 20.0]


def weighted_mean(logits, labels, weights, smoothing=0.0):
    """The loss over the whole set at once: one line of float64, as PyTorch's manual has it."""
    logits, labels, weights = (x.detach().double().numpy() for x in (logits, labels, weights))
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = (1 - smoothing) * np.eye(3)[labels.astype(int)] + smoothing / 3
    return -(weights * target * log_p).sum() / weights[labels.astype(int)].sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 10])
def test_class_weights_give_the_mean_of_the_data_set_for_any_batches(
    batch_size, smoothing, model, examples, cpu
):
    weights = torch.tensor(WEIGHTS)
    criterion = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
    inputs, labels = examples.tensors
    expected = weighted_mean(model.eval()(inputs), labels, weights, smoothing)
    loader = DataLoader(examples, batch_size)
    found = evaluate(model, loader, criterion, cpu)
    assert found.loss == pytest.approx(expected, rel=1e-6)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    trained = train_one_epoch(model, loader, criterion, still, cpu, mode=nn.Module.eval)
    assert trained == pytest.approx(found, rel=1e-6)


def test_class_weights_of_the_negative_log_likelihood_do_the_same(examples, loader, cpu):
    model = nn.Sequential(nn.Linear(5, 3), nn.LogSoftmax(dim=1))
    weights = torch.tensor(WEIGHTS)
    inputs, labels = examples.tensors
    expected = weighted_mean(model(inputs), labels, weights)
    found = evaluate(model, loader, nn.NLLLoss(weight=weights), cpu)
    assert found.loss == pytest.approx(expected, rel=1e-6)


def test_weights_of_a_loss_that_divides_by_the_batch_are_left_to_it(examples, loader, cpu, model):
    criterion = nn.MultiMarginLoss(weight=torch.tensor(WEIGHTS))
    whole = criterion(model.eval()(examples.tensors[0]), examples.tensors[1]).item()
    assert evaluate(model, loader, criterion, cpu).loss == pytest.approx(whole, rel=1e-6)


def test_class_weights_train_as_full_batch_descent_in_float64(examples, cpu):
    """One step on all examples: the weighted gradient, written out."""
    model, weights = nn.Linear(5, 3), torch.tensor(WEIGHTS)
    x, y = (tensor.numpy() for tensor in examples.tensors)
    before = model.weight.detach().double().numpy()
    logits = x.astype(float) @ before.T + model.bias.detach().double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    w = np.array(WEIGHTS)[y][:, None]
    gradient = (w * (p - np.eye(3)[y])).T @ x / w.sum()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    train_one_epoch(
        model, DataLoader(examples, 10), nn.CrossEntropyLoss(weight=weights), optimizer, cpu
    )
    np.testing.assert_allclose(model.weight.detach(), before - 0.3 * gradient, rtol=1e-4, atol=1e-6)


LOSSES = {
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "give it reduction='mean'"),
    "none": (nn.CrossEntropyLoss(reduction="none"), "give it reduction='mean'"),
    "function": (lambda x, y: nn.functional.cross_entropy(x, y, reduction="none"), "must average"),
    "ignored": (nn.CrossEntropyLoss(ignore_index=2), "ignores the label 2.*out of the data set"),
    "elsewhere": (nn.CrossEntropyLoss(torch.ones(3, device="meta")), r"on meta.*\.to\(device\)"),
    "no weight": (nn.CrossEntropyLoss(weight=torch.zeros(3)), "all have the weight 0"),
}


@pytest.mark.parametrize(("criterion", "message"), LOSSES.values(), ids=LOSSES)
def test_a_criterion_that_gives_no_mean_is_refused_before_a_step(
    criterion, message, model, loader, cpu
):
    before = model[0].weight.detach().clone()
    with pytest.raises(ValueError, match=message):
        train_one_epoch(model, loader, criterion, torch.optim.SGD(model.parameters(), 0.1), cpu)
    assert torch.equal(model[0].weight, before)
    with pytest.raises(ValueError, match=message):
        evaluate(model, loader, criterion, cpu)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            torch.tensor([0, -100]),
            "a label is -100, but the model has 3 outputs, for labels 0 to 2",
        ),
        (torch.tensor([0, 3]), "a label is 3, but the model has 3 outputs"),
        (torch.tensor([[0, 1], [1, 0]]), r"gave \(2, 3\) for labels \(2, 2\)"),
    ],
)
def test_labels_that_fit_no_output_are_named(labels, message, criterion, cpu):
    loader = DataLoader(TensorDataset(torch.zeros(2, 5), labels), 2)
    with pytest.raises(ValueError, match=message):
        evaluate(nn.Linear(5, 3), loader, criterion, cpu)


def test_logits_of_every_pixel_are_refused(criterion, cpu):
    loader = DataLoader(TensorDataset(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long()), 2)
    with pytest.raises(ValueError, match=r"it should give \(B, num_classes\) for \(B,\)"):
        evaluate(nn.Conv2d(3, 3, 1), loader, criterion, cpu)


# ---- schedules -----------------------------------------------------------------------------------


def run(model, loader, make_scheduler, num_epochs=4, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return fit(
        model, loader, loader, nn.CrossEntropyLoss(), optimizer, torch.device("cpu"),
        num_epochs=num_epochs, scheduler=make_scheduler(optimizer), verbose=False, **options,
    )  # fmt: skip


FOR_BATCHES = {  # three batches an epoch, four epochs
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, epochs=4, steps_per_epoch=3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=12),
    "linear": lambda o: lr_scheduler.LinearLR(o, total_iters=12),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1),
    "within": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.CosineAnnealingLR(o, 12)], milestones=[1]
    ),
    "too short": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=3),
}


@pytest.mark.parametrize("make", FOR_BATCHES.values(), ids=FOR_BATCHES)
def test_a_schedule_of_batches_is_refused_before_any_training(make, model, loader):
    before = model[0].weight.detach().clone()
    with pytest.raises(
        ValueError, match=r"`fit` steps it once an epoch: build it for|optimizer and schedule anew"
    ):
        run(model, loader, make)
    assert torch.equal(model[0].weight, before)


def test_a_schedule_is_measured_on_whole_epochs_where_a_part_is_run(model, loader):
    history = run(model, loader, lambda o: lr_scheduler.CosineAnnealingLR(o, 8), max_batches=2)
    assert len(history.lr) == 4  # 8 are the batches of the parts, and may be epochs as well
    with pytest.raises(ValueError, match="built for batches, of which 4 epochs have 12"):
        run(model, loader, FOR_BATCHES["cosine"], max_batches=2)


FOR_EPOCHS = {
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=4),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=4),
    "longer": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10),  # and a part of it is run
    "steps": lambda o: lr_scheduler.StepLR(o, 2),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [1, 3]),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "function": lambda o: lr_scheduler.LambdaLR(o, lambda e: np.cos(e / 4)),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, total_iters=1), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("make", FOR_EPOCHS.values(), ids=FOR_EPOCHS)
def test_a_schedule_of_epochs_gives_its_own_rates(make, model, loader):
    alone = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, expected = make(alone), []
    for _ in range(4):
        expected.append(float(alone.param_groups[0]["lr"]))
        alone.step()
        scheduler.step()
    assert run(model, loader, make).lr == pytest.approx(expected)


@pytest.mark.parametrize(("watch", "accuracy"), [("min", False), ("max", True)])
def test_a_plateau_is_seen_in_loss_or_accuracy(watch, accuracy, loader):
    """A network that can't learn: its loss and accuracy stay; the rate falls after each epoch."""
    model = nn.Linear(5, 3)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    plateau = lr_scheduler.ReduceLROnPlateau(frozen, mode=watch, patience=0, factor=0.5, eps=0)
    seen, step = [], plateau.step
    plateau.step = lambda value: (seen.append(value), step(value))
    history = fit(
        model, loader, loader, nn.CrossEntropyLoss(), frozen, torch.device("cpu"),
        num_epochs=3, scheduler=plateau, verbose=False,
    )  # fmt: skip
    assert seen == (history.val_accuracy if accuracy else history.val_loss)
    history = run(
        model,
        DataLoader(TensorDataset(torch.zeros(3, 5), torch.arange(3)), 3),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="max", patience=0, factor=0.5),
    )
    assert history.lr == [0.1, 0.1, 0.05, 0.025]


def test_a_schedule_at_its_end_is_refused(model, loader, criterion, cpu):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    options = {"num_epochs": 2, "scheduler": scheduler, "verbose": False}
    fit(model, loader, loader, criterion, optimizer, cpu, **options)
    with pytest.raises(ValueError, match="ends after 2 steps, of which 2 are taken"):
        fit(model, loader, loader, criterion, optimizer, cpu, **options)


def test_a_loader_without_a_batch_is_named_by_fit_too(model, examples, criterion, cpu):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    empty = DataLoader(examples, 20, drop_last=True)
    for scheduler in (None, lr_scheduler.CosineAnnealingLR(optimizer, 2)):
        with pytest.raises(ValueError, match="the loader gave no batch"):
            fit(model, empty, empty, criterion, optimizer, cpu, num_epochs=2, scheduler=scheduler)


def test_a_rate_that_is_a_tensor_has_its_history(model, loader, criterion, cpu):
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1))
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    history = fit(
        model, loader, loader, criterion, optimizer, cpu,
        num_epochs=3, scheduler=scheduler, verbose=False,
    )  # fmt: skip
    assert history.lr == pytest.approx([0.1, 0.05, 0.025])


# ---- interrupts ----------------------------------------------------------------------------------


def interrupt_in(model, call):
    """Let a model be interrupted as by Ctrl+C, in its `call`th forward pass."""
    calls = itertools.count(1)

    def interrupt(*_):
        if next(calls) == call:
            raise KeyboardInterrupt

    model.register_forward_hook(interrupt)


def test_an_interrupt_is_not_swallowed_in_a_loop_over_seeds(loader):
    histories = []
    with pytest.raises(KeyboardInterrupt):
        for seed in range(3):
            torch.manual_seed(seed)
            model = nn.Linear(5, 3)
            if seed == 1:
                interrupt_in(model, 3 * 2 * 2 + 1)  # three batches, twice an epoch: in the third
            histories.append(run(model, loader, lambda _: None))
    assert [len(history.lr) for history in histories] == [4]


def test_in_a_notebook_the_history_of_an_interrupted_training_is_at_hand(model, loader):
    """As the stop button does it: the cell ends in an error, and the next cell has it all."""
    shell = InteractiveShell()
    interrupt_in(model, 3 * 2 * 2 + 1)
    shell.user_ns |= {"model": model, "loader": loader, "run": run}
    result = shell.run_cell("history = run(model, loader, lambda _: None)")
    assert isinstance(result.error_in_exec, TrainingInterrupted)
    result = shell.run_cell("import sys\nhistory = sys.last_value.history\nlen(history.lr)")
    assert result.result == 2 and shell.user_ns["history"].best_epoch in (1, 2)
    del sys.last_value
