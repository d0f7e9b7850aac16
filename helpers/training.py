"""The training and evaluation loops.

Every loop takes what it needs as arguments and returns what it found; none reads a global. All of
them sum over *examples* and divide by the examples seen, so a short last batch weighs what it
should.
"""

import copy
import time
import warnings
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.metrics import History, Metrics, mean_metrics
from helpers.models import eval_mode, train_mode


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader,
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device,
    *,
    max_batches: int | None = None,
) -> Metrics:
    """Train `model` on every batch of `loader` once, or on the first `max_batches` of them.

    A batch is inputs `(B, …)`, float32, and labels `(B,)`, int64. `criterion` averages over the
    batch, as `nn.CrossEntropyLoss()` does. The metrics are those of the training batches:
    augmented, and each measured just before the weights moved on.
    """
    train_mode(model)  # frozen parts stay in evaluation mode
    total_loss, num_correct, num_examples = 0.0, 0, 0
    for batch, (inputs, labels) in enumerate(islice(loader, max_batches), start=1):
        inputs, labels = inputs.to(device), labels.to(device)

        logits = model(inputs)  # (B, num_classes)
        loss = batch_loss(criterion, logits, labels, batch)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        total_loss += loss.item() * len(labels)
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
        num_examples += len(labels)
    return mean_metrics(total_loss, num_correct, num_examples)


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
    total_loss, num_correct, num_examples = 0.0, 0, 0
    with eval_mode(model):
        for batch, (inputs, labels) in enumerate(islice(loader, max_batches), start=1):
            inputs, labels = inputs.to(device), labels.to(device)
            logits = model(inputs)
            total_loss += batch_loss(criterion, logits, labels, batch).item() * len(labels)
            num_correct += (logits.argmax(dim=1) == labels).sum().item()
            num_examples += len(labels)
    return mean_metrics(total_loss, num_correct, num_examples)


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
    max_batches: int | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    verbose: bool = True,
) -> History:
    """Train for `num_epochs`, measure after each, and leave `model` with its best weights.

    Best means the highest accuracy on `val_loader`: that set is used up by the choice, so report
    on another one. `scheduler` steps once an epoch. `checkpoint` names a file to write after each
    epoch, `resume` one to go on from: with the same arguments, to the same result. Interrupted, as
    by the stop button of a notebook, it keeps what it has and returns; after an error, as of a loss
    that is no number, too, the model has its best weights.
    """
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(f"no folder {Path(checkpoint).parent}: make it first")
    parts = {"model": model, "optimizer": optimizer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    history, best_weights = History(), copy.deepcopy(model.state_dict())
    if resume is not None:
        results = load_checkpoint(resume, parts, train_loader)
        history, best_weights = History(**results["history"]), results["best_weights"]

    try:
        for epoch in range(len(history.lr) + 1, num_epochs + 1):
            start, lr = time.perf_counter(), optimizer.param_groups[0]["lr"]
            train = train_one_epoch(
                model, train_loader, criterion, optimizer, device, max_batches=max_batches
            )
            val = evaluate(model, val_loader, criterion, device, max_batches=max_batches)
            if scheduler is not None:
                scheduler.step()

            if val.accuracy > max(history.val_accuracy, default=-1.0):
                best_weights = copy.deepcopy(model.state_dict())  # a copy: the weights move on
            history.append(train, val, lr, time.perf_counter() - start)
            if checkpoint is not None:
                results = {"history": asdict(history), "best_weights": best_weights}
                try:
                    save_checkpoint(checkpoint, parts, train_loader, **results)
                except OSError as error:
                    failed = f"no checkpoint of epoch {epoch} ({error})"
                    warnings.warn(f"{failed}; training goes on, an earlier one stays", stacklevel=2)
            if verbose:
                print(
                    f"epoch {epoch:2d}/{num_epochs}   "
                    f"train {train.loss:.4f} {train.accuracy:6.1%}   "
                    f"val {val.loss:.4f} {val.accuracy:6.1%}   {history.seconds[-1]:.1f} s"
                )
    except KeyboardInterrupt:
        print(f"interrupted in epoch {epoch}: history and best weights of {len(history.lr)} epochs")
    except FloatingPointError as error:
        error.add_note(
            f"This happened in epoch {epoch}, at a learning rate of {lr:g}. The model has its best "
            f"weights of the epochs before."
        )
        raise
    finally:
        model.load_state_dict(best_weights)
    return history


def batch_loss(criterion: nn.Module, logits: Tensor, labels: Tensor, batch: int) -> Tensor:
    """Return `criterion(logits, labels)`, or say clearly why there is no such number.

    batch: its number, counted from 1, for the message.
    """
    num_classes = logits.shape[1]
    if labels.max() >= num_classes:
        raise ValueError(
            f"a label is {labels.max().item()}, but the model has {num_classes} outputs, for "
            f"labels 0 to {num_classes - 1}: build it with num_classes=len(class_names)"
        )
    loss = criterion(logits, labels)
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss.item()} in batch {batch}: lower the learning rate, or look for "
            f"broken inputs"
        )
    return loss
