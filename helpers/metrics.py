"""The metrics of a pass, the history of a training run, and how sure an accuracy is."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers.models import eval_mode

NO_BATCH = "the loader gave no batch: is its data set empty, or max_batches 0?"


class Metrics(NamedTuple):
    """What one pass over a loader found."""

    loss: float  #: mean over the examples, in nats for cross-entropy; by class weight, if any
    accuracy: float  #: share of examples whose largest logit is the true class, 0 to 1


def mean_metrics(
    total_loss: float, total_weight: float, num_correct: int, num_examples: int
) -> Metrics:
    """Divide the sums of a pass: the loss by the weights, the accuracy by the examples."""
    if num_examples == 0:
        raise ValueError(NO_BATCH)
    return Metrics(total_loss / total_weight, num_correct / num_examples)


@dataclass
class History:
    """What `fit` saw, one entry an epoch."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)  #: of the first parameter group
    seconds: list[float] = field(default_factory=list)

    def append(self, train: Metrics, val: Metrics, lr: float, seconds: float) -> None:
        """Add one epoch."""
        for values, value in zip(vars(self).values(), (*train, *val, lr, seconds), strict=True):
            values.append(float(value))

    @property
    def best_epoch(self) -> int:
        """The epoch of the highest validation accuracy, counted from 1; the earliest, if tied."""
        return self.val_accuracy.index(max(self.val_accuracy)) + 1


@torch.no_grad()
def predict(model: nn.Module, loader: DataLoader, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the logits `(N, num_classes)` and the labels `(N,)` of a whole loader, on the CPU."""
    all_logits, all_labels = [], []
    with eval_mode(model):
        for inputs, labels in loader:
            all_logits.append(model(inputs.to(device)).cpu())
            all_labels.append(labels)
    if not all_labels:
        raise ValueError(NO_BATCH)
    return torch.cat(all_logits), torch.cat(all_labels)


def accuracy_interval(accuracy: float, num_examples: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of an accuracy that was measured on `num_examples`.

    It tells how far off the accuracy on all such pictures may be, given that only these were seen
    (E. B. Wilson, 1927, doi:10.1080/01621459.1927.10502953).
    """
    if num_examples < 1 or not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy {accuracy} on {num_examples} examples: give a share, 0 to 1")
    z, n = 1.959964, num_examples
    center = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    return max(0.0, center - half), min(1.0, center + half)


def paired_test(right: Tensor, other_right: Tensor) -> float:
    """Return how likely two equally good models are to differ as unevenly as these, 0 to 1.

    right, other_right: which of the same examples `(N,)` either model got right, bool. Only those
    on which they disagree count, as tosses of a fair coin: an exact, two-sided sign test
    (Q. McNemar, 1947, doi:10.1007/BF02295996).
    """
    if right.shape != other_right.shape:
        raise ValueError(f"{len(right)} and {len(other_right)} answers: ask both the same examples")
    only_one, only_other = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    n, most = only_one + only_other, max(only_one, only_other)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(most, n + 1)) / 2**n)
