"""The training and evaluation loops.

Every loop takes what it needs as arguments and returns what it found; none reads a global. All of
them sum over *examples* and divide by the examples seen, or by their weights where classes have
some, so a short last batch weighs what it should.
"""

import copy
import time
from collections.abc import Callable
from itertools import islice
from operator import length_hint
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from helpers.checkpoint import check_folder, keep_training, resume_training
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
    batch, as `nn.CrossEntropyLoss()` does, with class weights or without. The metrics are those of
    the training batches: augmented, and each measured just before the weights moved on.

    mode: what puts the model in training mode. By default, frozen parts stay in evaluation mode.
    """
    mode(model)
    total_loss, total_weight, num_correct, num_examples = 0.0, 0.0, 0, 0
    for batch, (inputs, labels) in enumerate(islice(loader, max_batches), start=1):
        inputs, labels = inputs.to(device), labels.to(device)

        logits = model(inputs)  # (B, num_classes)
        loss, weight = batch_loss(criterion, logits, labels, batch)

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
        for batch, (inputs, labels) in enumerate(islice(loader, max_batches), start=1):
            inputs, labels = inputs.to(device), labels.to(device)
            logits = model(inputs)
            loss, weight = batch_loss(criterion, logits, labels, batch)
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
    epoch, `resume` one to go on from: with the same arguments, to the same result. Another
    optimizer, schedule, rate or batch size is refused; another criterion can't be seen.

    Whatever stops it, the model has its best weights: raises TrainingInterrupted, which holds the
    history, or FloatingPointError for a loss that is no number.
    """
    parts = {"model": model, "optimizer": optimizer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    history, best_weights = History(), copy.deepcopy(model.state_dict())
    if checkpoint is not None:
        check_folder(checkpoint)
    if resume is not None:
        history, best_weights = resume_training(resume, parts, train_loader, num_epochs)
    epochs_left = num_epochs - len(history.lr)
    check_schedule(scheduler, epochs_left, num_epochs, num_batches=length_hint(train_loader, 1))

    try:
        epochs = range(len(history.lr) + 1, num_epochs + 1)
        for epoch in epochs if verbose else progress(epochs, "epochs"):
            start, lr = time.perf_counter(), float(optimizer.param_groups[0]["lr"])
            train = train_one_epoch(
                model, train_loader, criterion, optimizer, device,
                mode=mode, max_batches=max_batches,
            )  # fmt: skip
            val = evaluate(model, val_loader, criterion, device, max_batches=max_batches)
            step_schedule(scheduler, val)

            if val.accuracy > max(history.val_accuracy, default=-1.0):
                best_weights = copy.deepcopy(model.state_dict())  # a copy: the weights move on
            history.append(train, val, lr, time.perf_counter() - start)
            if checkpoint is not None:
                keep_training(checkpoint, parts, train_loader, history, best_weights)
            if verbose:
                print(
                    f"epoch {epoch:2d}/{num_epochs}   "
                    f"train {train.loss:.4f} {train.accuracy:6.1%}   "
                    f"val {val.loss:.4f} {val.accuracy:6.1%}   {history.seconds[-1]:.1f} s"
                )
    except KeyboardInterrupt as stop:
        raise TrainingInterrupted(history) from stop
    except FloatingPointError as error:
        error.add_note(
            f"This happened in epoch {len(history.lr) + 1}, at a learning rate of "
            f"{optimizer.param_groups[0]['lr']:g}. The model has its best weights of the epochs "
            f"before."
        )
        raise
    finally:
        model.load_state_dict(best_weights)
    return history


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl+C, or the stop button of a notebook, during `fit`.

    It holds what was found so far: in a notebook, `sys.last_value.history`.
    """

    def __init__(self, history: History):
        """Keep the history of the finished epochs."""
        super().__init__(
            f"stopped after {len(history.lr)} epochs. The model has the best weights of these, or "
            f"those of the start; their history is in this exception: sys.last_value.history"
        )
        self.history = history


def batch_loss(
    criterion: nn.Module, logits: Tensor, labels: Tensor, batch: int
) -> tuple[Tensor, float]:
    """Return `criterion(logits, labels)`, a mean over the batch, and what it was divided by.

    That is its weight: B, or the class weights of its labels. So the losses of all batches, each
    times its weight, over the sum of the weights, are the mean over the data set. Class weights
    are seen on `nn.CrossEntropyLoss` and `nn.NLLLoss` themselves, not inside another function.

    Raises ValueError, in words, for outputs and labels that don't fit and for a criterion that
    gives no mean; FloatingPointError for a loss that is no number.

    logits `(B, num_classes)`; labels `(B,)`, int64; batch: its number, from 1, for the message.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"the model gave {tuple(logits.shape)} for labels {tuple(labels.shape)}: it should "
            f"give (B, num_classes) for (B,)"
        )
    lowest, highest, num_classes = labels.min().item(), labels.max().item(), logits.shape[1]
    if highest >= num_classes or lowest < 0:
        raise ValueError(
            f"a label is {highest if highest >= num_classes else lowest}, but the model has "
            f"{num_classes} outputs, for labels 0 to {num_classes - 1}: build it with "
            f"num_classes=len(class_names)"
        )
    if (labels == getattr(criterion, "ignore_index", -1)).any():
        raise ValueError(
            f"the criterion ignores the label {criterion.ignore_index}, which the accuracy would "
            f"count: leave those examples out of the data set"
        )
    weight = batch_weight(criterion, labels)
    loss = criterion(logits, labels)
    if getattr(criterion, "reduction", "mean") != "mean" or loss.ndim:
        raise ValueError("the criterion must average over the batch: give it reduction='mean'")
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss.item()} in batch {batch}: lower the learning rate, or look for "
            f"broken inputs"
        )
    return loss, weight


def batch_weight(criterion: nn.Module, labels: Tensor) -> float:
    """Return what a criterion that averages divides a batch's loss by."""
    weight = getattr(criterion, "weight", None)
    if weight is None or not isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss):
        return len(labels)
    if weight.device != labels.device:
        raise ValueError(
            f"the criterion's weights are on {weight.device}, the batch on {labels.device}: "
            f"move the criterion, too, with criterion.to(device)"
        )
    total = weight[labels.long()].sum().item()
    if total <= 0:
        raise ValueError(f"the classes {labels.unique().tolist()} of a batch all have the weight 0")
    return total


def check_schedule(
    scheduler: LRScheduler | None, epochs_left: int, num_epochs: int, num_batches: int
) -> None:
    """Refuse a schedule that is at its end, or counts batches, as far as its length tells.

    num_batches: how many an epoch has. `fit` steps a schedule once an epoch.
    """
    if scheduler is None or epochs_left < 1:
        return
    for part in getattr(scheduler, "_schedulers", [scheduler]):
        total_steps = getattr(part, "total_steps", 0)  # of OneCycleLR, which can't take more
        length = total_steps or getattr(part, "T_max", 0) or getattr(part, "total_iters", 0)
        of_batches = num_batches > 1 and length == num_epochs * num_batches
        if of_batches or isinstance(part, CyclicLR):
            raise ValueError(
                f"{type(part).__name__} is built for batches, of which {num_epochs} epochs have "
                f"{num_epochs * num_batches}, but `fit` steps it once an epoch: build it for epochs"
            )
        at_its_end = isinstance(part, CosineAnnealingLR) and part.last_epoch >= part.T_max
        if at_its_end or 0 < total_steps < part.last_epoch + epochs_left:
            raise ValueError(
                f"{type(part).__name__} ends after {length} steps, of which {part.last_epoch} are "
                f"taken, with {epochs_left} epochs to go: make optimizer and schedule anew"
            )


def step_schedule(scheduler: LRScheduler | None, val: Metrics) -> None:
    """Take a schedule's step at the end of an epoch."""
    if isinstance(scheduler, ReduceLROnPlateau):  # it watches a number: mode="max", the accuracy
        scheduler.step(val.loss if scheduler.mode == "min" else val.accuracy)
    elif scheduler is not None:
        scheduler.step()
