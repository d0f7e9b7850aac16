"""What every method takes and prints: the same arguments, the same network, the same JSON lines.

A line an epoch: `epoch` (from 1); `seconds` since work on the data began, everything but imports
included; `val_accuracy` after it. Then one line of what the whole run was, see `Run.end`.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import timm  # noqa: F401  (here, before the clock starts; helpers.models imports it late)
import torch
from torch import nn
from torchvision.datasets import CIFAR10

from helpers import assets, data, models

TASKS = ("frozen", "fine-tuned", "cifar10")
LITE0, LITE2 = "tf_efficientnet_lite0", "tf_efficientnet_lite2"
ASSETS = {"resnet18": "backbone", LITE0: LITE0, LITE2: LITE2}
WEIGHTS = {name: assets.EMBEDDED / assets.RENDERED[ASSETS[name]].target for name in ASSETS}
HALF = ((0.5, 0.5, 0.5),) * 2
STATISTICS = {"resnet18": (data.MEAN, data.STD), LITE0: HALF, LITE2: HALF}  # of inputs: mean, std


def parse(doc: str | None, **options: int | str) -> argparse.Namespace:
    """Read a method's arguments; set the threads.

    options: more options that it takes, with their defaults.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--data", type=Path, required=True, help="holds train and val, or CIFAR-10")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--backbone", choices=tuple(WEIGHTS), default="resnet18")
    parser.add_argument("--epochs", type=int, default=0, help="0: as the method's recipe says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


class Run:
    """The clock of one run, and its lines; it starts when it is made."""

    def __init__(self):
        """Start the clock."""
        self.start, self.epoch = time.perf_counter(), 0

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def line(self, val_accuracy: float, seconds: float | None = None) -> None:
        """Print an epoch's line; `seconds`, if it ended earlier than now."""
        self.epoch += 1
        seconds = self.seconds() if seconds is None else seconds
        values = {"epoch": self.epoch, "seconds": round(seconds, 4)}
        print(json.dumps(values | {"val_accuracy": round(val_accuracy, 4)}), flush=True)

    def end(self, *, size: int, batch_size: int, workers: int = 0) -> None:
        """Print the last line: these settings, and the peak memory of the whole run.

        `peak_mb` is the resident memory of this process, `worker_peak_mb` that of its largest
        loader worker. They can't be added: what a worker shares with this process is in both.
        """
        worker_peak_mb = peak_mb(resource.RUSAGE_CHILDREN) if workers else 0.0
        values = {"peak_mb": peak_mb(), "worker_peak_mb": worker_peak_mb}
        settings = {"size": size, "batch_size": batch_size, "workers": workers}
        print(json.dumps(values | settings), flush=True)


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Return the peak resident memory in megabytes (10⁶ bytes): own, or of the largest child."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(who).ru_maxrss * unit / 1e6, 1)


def build(name: str, num_classes: int, *, freeze: bool = True) -> nn.Module:
    """Build the embedded network with a new head."""
    return models.build(name, num_classes, weights=WEIGHTS[name], freeze=freeze)


def trust_cifar10() -> None:
    """Let torchvision's CIFAR10 read any copy of it in this process, whatever its hashes."""
    for files in (CIFAR10.train_list, CIFAR10.test_list):
        files[:] = [[name, None] for name, _ in files]  # type: ignore[list-item]
    CIFAR10.meta["md5"] = None  # type: ignore[assignment]
