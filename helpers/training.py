"""The training and evaluation loops, which weigh a short last batch right; what they refuse."""

import copy
import time
import warnings
from collections.abc import Callable
from itertools import islice
from operator import length_hint
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from helpers.checkpoint import load_checkpoint, save_checkpoint
from helpers.metrics import History, Metrics, mean_metrics
from helpers.models import eval_mode, train_mode
from helpers.runtime import progress


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader,
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device,
    *,
    mode: Callable[[nn.Module], object] = train_mode,
    max_batches: int | None = None,
) -> Metrics:
    """Train `model` on every batch of `loader` once, or on the first `max_batches` of them.

    A batch is inputs `(B, …)`, float32, and labels `(B,)`, int64. `criterion` averages over the
    batch, as `nn.CrossEntropyLoss()` does. The metrics are those of the training batches, each
    measured before its update. `mode` puts the model in training mode; by default, frozen parts
    stay in evaluation mode.
    """
    check_optimizer(optimizer, model, criterion)
    mode(model)
    total_loss, total_weight, num_correct, num_examples = 0.0, 0.0, 0, 0
    for inputs, labels in islice(loader, max_batches):
        inputs, labels = inputs.to(device), labels.to(device)

        logits = model(inputs)  # (B, num_classes)
        loss, weight = batch_loss(criterion, logits, labels)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        total_loss += loss.item() * weight
        total_weight += weight
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
        num_examples += len(labels)
    return mean_metrics(total_loss, total_weight, num_correct, num_examples)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    loader: DataLoader,
    criterion: nn.Module,
    device: torch.device,
    *,
    max_batches: int | None = None,
) -> Metrics:
    """Measure `model` on `loader`, without touching its weights; leave its mode as it was."""
    total_loss, total_weight, num_correct, num_examples = 0.0, 0.0, 0, 0
    with eval_mode(model):
        for inputs, labels in islice(loader, max_batches):
            inputs, labels = inputs.to(device), labels.to(device)
            logits = model(inputs)
            loss, weight = batch_loss(criterion, logits, labels)
            total_loss += loss.item() * weight
            total_weight += weight
            num_correct += (logits.argmax(dim=1) == labels).sum().item()
            num_examples += len(labels)
    return mean_metrics(total_loss, total_weight, num_correct, num_examples)


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader,
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device,
    *,
    num_epochs: int,
    scheduler: LRScheduler | None = None,
    mode: Callable[[nn.Module], object] = train_mode,
    max_batches: int | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    verbose: bool = True,
) -> History:
    """Train for `num_epochs`, measure after each, and leave `model` with its best weights.

    Best means the highest accuracy on `val_loader`: that set is used up by the choice, so report
    on another one. `scheduler` steps once an epoch. `checkpoint` names a file to write after each
    epoch, `resume` one to go on from: with the same arguments, to the same result.
    Whatever stops it, the model has its best weights. After Ctrl+C or a notebook's stop button, the
    history is `sys.last_value.history`. Raises FloatingPointError for a loss of nan or inf.
    """
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    parts = {name: part for name, part in parts.items() if part is not None}
    history, best_weights = History(), copy.deepcopy(model.state_dict())
    if resume is not None:
        results = load_checkpoint(resume, parts, train_loader)
        history, best_weights = History(**results["history"]), results["best_weights"]
        if len(history.lr) > num_epochs:
            raise ValueError(f"{resume} holds {len(history.lr)} epochs, not {num_epochs} or fewer")
    if len(history.lr) < num_epochs:
        check_schedule(scheduler, optimizer, num_epochs, length_hint(train_loader, 1))

    try:
        epochs = range(len(history.lr) + 1, num_epochs + 1)
        for epoch in epochs if verbose else progress(epochs, "epochs"):
            start, lr = time.perf_counter(), float(optimizer.param_groups[0]["lr"])
            options = {"mode": mode, "max_batches": max_batches}
            train = train_one_epoch(model, train_loader, criterion, optimizer, device, **options)
            val = evaluate(model, val_loader, criterion, device, max_batches=max_batches)
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(val.loss if scheduler.mode == "min" else val.accuracy)
            elif scheduler is not None:
                scheduler.step()

            if val.accuracy > max(history.val_accuracy, default=-1.0):
                best_weights = copy.deepcopy(model.state_dict())  # a copy: the weights move on
            history.append(train, val, lr, time.perf_counter() - start)
            if checkpoint is not None:
                results = {"history": vars(history), "best_weights": best_weights}
                save_checkpoint(checkpoint, parts, train_loader, **results)
            if verbose:
                print(f"epoch {epoch:2d}/{num_epochs}   train {train.loss:.4f}", end=" ")
                print(f"{100 * train.accuracy:5.1f} %   val {val.loss:.4f}", end=" ")
                print(f"{100 * val.accuracy:5.1f} %   {history.seconds[-1]:.1f} s")
    except KeyboardInterrupt as stop:
        vars(stop)["history"] = history
        raise
    finally:
        model.load_state_dict(best_weights)
    return history


def batch_loss(criterion: nn.Module, logits: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Return the mean loss of logits `(B, num_classes)` for labels `(B,)`, int64, and its weight.

    The weight is B, or the sum of the labels' class weights in `nn.CrossEntropyLoss` and
    `nn.NLLLoss`: so the mean of all batches' losses, each by its weight, is that of the data set.

    Raises ValueError for what gives no such mean, FloatingPointError for a loss of nan or inf.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        given = f"the model gave {tuple(logits.shape)} for labels {tuple(labels.shape)}"
        raise ValueError(f"{given}: it should give (B, num_classes) for (B,)")
    lowest, highest, num_classes = labels.min().item(), labels.max().item(), logits.shape[1]
    if lowest < 0 or highest >= num_classes:
        found = f"labels go from {lowest} to {highest}, outputs from 0 to {num_classes - 1}"
        raise ValueError(f"{found}: build the model with num_classes=len(class_names)")
    if (labels == getattr(criterion, "ignore_index", -1)).any():
        raise ValueError("the criterion ignores a label: leave its examples out of the data set")
    weight, class_weights = len(labels), getattr(criterion, "weight", None)
    if class_weights is not None and isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss):
        weight = class_weights[labels.long()].sum().item()
    loss = criterion(logits, labels)
    if getattr(criterion, "reduction", "mean") != "mean" or loss.ndim:
        raise ValueError("the criterion must average over the batch: give it reduction='mean'")
    given = logits.detach().float()
    no_log = isinstance(criterion, nn.NLLLoss) and (given.exp().sum(1) - 1).abs().max() > 0.1
    if loss < 0 or no_log:
        raise ValueError("NLLLoss takes log-probabilities: give logits to nn.CrossEntropyLoss()")
    shares = given.min() >= 0 and (given.sum(1) - 1).abs().max() < 1e-4
    if shares and isinstance(criterion, nn.CrossEntropyLoss):
        raise ValueError("CrossEntropyLoss takes logits, not probabilities: leave out the softmax")
    if not torch.isfinite(loss):
        advice = "lower the learning rate, or look for broken inputs and class weights of 0"
        raise FloatingPointError(f"the loss is {loss.item()}: {advice}")
    return loss, weight


def check_optimizer(optimizer: Optimizer, model: nn.Module, criterion: nn.Module) -> None:
    """Refuse an optimizer that was made for another model; warn of what it does not train."""
    held = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    own = {parameter: name for name, parameter in model.named_parameters()}
    if held - own.keys() - set(getattr(criterion, "parameters", list)()):
        raise ValueError(
            "the optimizer has parameters of another model: make it anew, for this one"
        )
    left = [name for p, name in own.items() if p.requires_grad and p not in held]
    if left:
        what = (
            f"{len(left)} trainable parameters are in no group of the optimizer, such as {left[0]}"
        )
        warnings.warn(f"{what}: make it anew, or freeze them", stacklevel=3)


def check_schedule(
    scheduler: LRScheduler | None, optimizer: Optimizer, num_epochs: int, num_batches: int
) -> None:
    """Refuse a schedule of another optimizer, or that counts batches, or is at its end."""
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("the schedule is of another optimizer: make it anew, with this one")
    length = getattr(scheduler, "total_steps", 0) or getattr(scheduler, "T_max", 0)
    counts_batches = num_batches > 1 and length == num_epochs * num_batches
    if counts_batches or isinstance(scheduler, CyclicLR):
        raise ValueError("the schedule counts batches, but `fit` steps it once an epoch")
    if scheduler is not None and 0 < length <= scheduler.last_epoch:
        raise ValueError(
            f"the schedule ended after {length} steps: make it anew, and its optimizer"
        )
