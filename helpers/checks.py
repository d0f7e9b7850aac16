"""What the loops refuse, in words: criteria, labels, schedules and losses that can't be right."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, ReduceLROnPlateau

from helpers.metrics import History, Metrics


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl+C, or the stop button of a notebook, during `fit`.

    It holds what was found so far: in a notebook, `sys.last_value.history`.
    """

    def __init__(self, history: History):
        """Keep the history of the finished epochs."""
        super().__init__(
            f"stopped after {len(history.lr)} epochs. The model has the best weights of these; "
            f"their history is that of this exception: sys.last_value.history"
        )
        self.history = history


def batch_loss(
    criterion: nn.Module, logits: Tensor, labels: Tensor, batch: int
) -> tuple[Tensor, float]:
    """Return `criterion(logits, labels)` and its weight, or say clearly why it is no mean.

    The weight is what the mean over the batch was divided by: B, or the class weights of its
    labels. So all losses, each times its weight, add up to the mean over the data set.

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
    """Return what `criterion` divides a batch's loss by."""
    weight = getattr(criterion, "weight", None)
    if weight is None or not isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss):
        return len(labels)
    total = weight[labels].sum().item()
    if total <= 0:
        raise ValueError(f"the classes {labels.unique().tolist()} of a batch all have the weight 0")
    return total


def check_schedule(scheduler: LRScheduler | None, num_epochs: int, num_batches: int) -> None:
    """Refuse a schedule that counts batches, of which an epoch has `num_batches`, not epochs."""
    for part in getattr(scheduler, "_schedulers", [scheduler]):
        total_steps = getattr(part, "total_steps", 0)  # of OneCycleLR, which can't take more
        length = total_steps or getattr(part, "T_max", 0) or getattr(part, "total_iters", 0)
        counts_batches = (
            length % num_batches == 0 and length >= num_epochs * num_batches > num_epochs
        )
        if counts_batches or 0 < total_steps < num_epochs or isinstance(part, CyclicLR):
            raise ValueError(
                f"{type(part).__name__} is built for {length or 'single'} batches, but `fit` steps "
                f"it once an epoch: build it for {num_epochs} steps, or take another one"
            )


def step_schedule(scheduler: LRScheduler | None, val: Metrics) -> None:
    """Take a schedule's step at the end of an epoch."""
    if isinstance(scheduler, ReduceLROnPlateau):  # which waits for what it watches to get no better
        scheduler.step(val.loss if scheduler.mode == "min" else val.accuracy)
    elif scheduler is not None:
        scheduler.step()
