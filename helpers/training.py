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
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from helpers.checkpoints import check_folder, keep_training, resume_training
from helpers.checks import TrainingInterrupted, batch_loss, check_schedule, step_schedule
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
