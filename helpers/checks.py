"""What the loops take and what they refuse, in words: criteria, labels, losses and schedules."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LRScheduler, ReduceLROnPlateau

from helpers.metrics import History, Metrics


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
