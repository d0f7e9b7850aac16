"""What every contestant takes and prints: the same arguments, the same JSON lines.

A line an epoch: `epoch` (from 1); `seconds` since work on the data began, everything but imports
included; `train_seconds` of the epoch without its evaluation; `pictures` trained on in it; and
`val_accuracy` after it. Then one line of what the whole run was, see `Run.end`.

Imports PyTorch only inside its functions and `helpers` nowhere: fastai has another environment.
"""

import argparse
import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

TASKS = ("frozen", "fine-tuned", "cifar10")
LITE0 = "tf_efficientnet_lite0"
EMBEDDED = Path(__file__).parents[2] / "helpers" / "embedded"


class Backbone(NamedTuple):
    """A pretrained network, and how it is handled."""

    weights: Path  #: a .safetensors file
    head: str  #: the name of its last layer
    mean: list[float]  #: what its pictures are normalized with, a number a color
    std: list[float]


BACKBONES = {
    "resnet18": Backbone(
        EMBEDDED / "resnet18_tiny_imagenet.safetensors",
        "fc",
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
    ),
    LITE0: Backbone(
        EMBEDDED / "efficientnet_lite0_imagenet.safetensors", "classifier", [0.5] * 3, [0.5] * 3
    ),
}


def parse(doc: str, epochs: dict[str, int], **options: int | str) -> argparse.Namespace:
    """Read a contestant's arguments; set the threads.

    epochs: of each task that it knows, unless --epochs says otherwise.
    options: more options that it takes, and their values unless the arguments say otherwise.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--data", type=Path, required=True, help="holds train and val, or CIFAR-10")
    parser.add_argument("--task", choices=tuple(epochs), required=True)
    parser.add_argument("--backbone", choices=tuple(BACKBONES), default="resnet18")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-batches", type=int, help="of each pass, to see that it runs")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    args = parser.parse_args()
    args.epochs = args.epochs or epochs[args.task]
    if args.backbone != "resnet18":
        importlib.import_module("timm")  # before the clock starts, as all that is imported
    set_threads(args.threads)
    return args


def set_threads(threads: int) -> None:
    """Let PyTorch compute on that many threads."""
    import torch

    torch.set_num_threads(threads)


class Run:
    """The clock of one run, and its lines; it starts when it is made."""

    def __init__(self):
        """Start the clock."""
        self.start, self.epoch, self.setup = time.perf_counter(), 0, None

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def ready(self) -> None:
        """Note that all is prepared and the first epoch begins."""
        self.setup = self.seconds()

    def line(
        self,
        train_seconds: float,
        pictures: int,
        val_accuracy: float,
        *,
        seconds: float | None = None,
    ) -> None:
        """Print an epoch's line; `seconds`, if it ended earlier than now."""
        self.epoch += 1
        seconds = self.seconds() if seconds is None else seconds
        values = {"epoch": self.epoch, "seconds": round(seconds, 4)}
        values |= {"train_seconds": round(train_seconds, 4), "pictures": pictures}
        print(json.dumps(values | {"val_accuracy": round(val_accuracy, 4)}), flush=True)

    def end(self, *, size: int, batch_size: int, workers: int = 0) -> None:
        """Print the last line: these settings, and what the whole run took.

        That is `setup_seconds` before the first epoch, `total_seconds`, `peak_mb`, the peak
        resident memory of this process, and `worker_peak_mb`, that of its largest loader worker.
        The two can't be added: what a worker shares with this process is in both.
        """
        worker_peak_mb = peak_mb(resource.RUSAGE_CHILDREN) if workers else 0.0
        values = {
            "setup_seconds": round(self.setup, 4),
            "total_seconds": round(self.seconds(), 4),
            "peak_mb": peak_mb(),
            "worker_peak_mb": worker_peak_mb,
        }
        settings = {"size": size, "batch_size": batch_size, "workers": workers}
        print(json.dumps(values | settings), flush=True)


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Return the peak resident memory in megabytes (10⁶ bytes): own, or of the largest child."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(who).ru_maxrss * unit / 1e6, 1)


def build(name: str, num_classes: int):
    """Build a pretrained network with a new head, all but that frozen; return both."""
    from torch import nn

    model = pretrained(name)
    old = model.get_submodule(BACKBONES[name].head)
    model.requires_grad_(False)
    head = nn.Linear(old.in_features, num_classes)
    model.set_submodule(BACKBONES[name].head, head)
    return model, head


def pretrained(name: str):
    """Build a network with its pretrained weights but for its head."""
    import safetensors.torch

    backbone = BACKBONES[name]
    if name == "resnet18":
        import torchvision

        model = torchvision.models.resnet18()
    else:
        import timm

        model = timm.create_model(name)
    state = safetensors.torch.load_file(backbone.weights)
    state = {key: value for key, value in state.items() if not key.startswith(backbone.head + ".")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or {key.rpartition(".")[0] for key in missing} != {backbone.head}:
        raise ValueError(f"{backbone.weights.name} holds no {name}: {missing}, {unexpected}")
    return model


def trust_cifar10() -> None:
    """Let torchvision's CIFAR10 read any copy of it in this process, whatever its hashes."""
    from torchvision.datasets import CIFAR10

    CIFAR10.train_list = [[name, None] for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [[name, None] for name, _ in CIFAR10.test_list]
    CIFAR10.meta = CIFAR10.meta | {"md5": None}
