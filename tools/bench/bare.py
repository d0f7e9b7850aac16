"""The machine's own rate: a bare network on one random batch that lies in memory.

The channels of a pixel lie side by side there, which is the faster layout. Prints a JSON line:
pictures a second forward, backward and through a step of SGD, and forward only; each the batch size
over the median time of a step.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from tools.bench.protocol import BACKBONES, build, set_threads


def median_seconds(step: Callable[[], None], steps: int, warm_up: int = 3) -> float:
    """Return the median time of a step, after a few that don't count."""
    seconds = []
    for _ in range(warm_up + steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[warm_up:])


def rates(backbone: str, size: int, batch_size: int, steps: int) -> dict[str, float]:
    """Return pictures a second, `train` and `forward`."""
    layout = {"memory_format": torch.channels_last}
    inputs = torch.randn(batch_size, 3, size, size).to(**layout)
    labels, criterion = torch.arange(batch_size) % 2, nn.CrossEntropyLoss()
    model, _ = build(backbone, num_classes=2)
    model.requires_grad_(True).to(**layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad()
        criterion(model(inputs), labels).backward()
        optimizer.step()

    @torch.inference_mode()
    def forward() -> None:
        model(inputs)

    trained = batch_size / median_seconds(train, steps)
    model.eval()
    return {"train": trained, "forward": batch_size / median_seconds(forward, steps)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", choices=tuple(BACKBONES), required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    set_threads(args.threads)
    torch.manual_seed(0)
    found = rates(args.backbone, args.size, args.batch_size, args.steps)
    print(json.dumps({name: round(rate, 2) for name, rate in found.items()}))


if __name__ == "__main__":
    main()
