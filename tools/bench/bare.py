"""The machine's own rate: a bare ResNet-18 on one random batch that lies in memory.

Prints a JSON line: pictures a second forward, backward and through a step of SGD, and forward only;
each the batch size over the median time of a step.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from protocol import set_threads
from torch import nn


def median_seconds(step: Callable[[], None], steps: int, warm_up: int = 3) -> float:
    """Return the median time of a step, after a few that don't count."""
    seconds = []
    for _ in range(warm_up + steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[warm_up:])


def rates(size: int, batch_size: int, steps: int, num_classes: int = 2) -> dict[str, float]:
    """Return pictures a second, `train` and `forward`."""
    inputs = torch.randn(batch_size, 3, size, size)
    labels = torch.arange(batch_size) % num_classes
    model, criterion = torchvision.models.resnet18(num_classes=num_classes), nn.CrossEntropyLoss()
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
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    set_threads(args.threads)
    torch.manual_seed(0)
    found = rates(args.size, args.batch_size, args.steps)
    found = {name: round(rate, 2) for name, rate in found.items()}
    print(json.dumps({"size": args.size, "batch_size": args.batch_size} | found))


if __name__ == "__main__":
    main()
