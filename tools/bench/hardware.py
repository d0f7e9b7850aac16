"""Measure what memory layouts and number formats gain on this machine or its accelerator.

    python -m tools.bench.hardware

A ResNet-18 and one random batch that lies in memory; every form takes its turn in each round, so
that a drifting machine hits all alike. Writes `book/hardware.csv`: pictures a second and how many
times those of the plain form, for a step of training and for a forward pass.
"""

from collections import defaultdict
from contextlib import nullcontext
from statistics import median

import torch
import torchvision
from torch import nn
from torch.utils.benchmark import Timer

from helpers.runtime import get_device
from tools.bench.report import ROOT, number, write

SETTINGS = ((32, 100), (96, 16), (224, 16))
COLUMNS = ["device", "pixels", "batch", "form"]
COLUMNS += ["trained a second", "times", "seen a second", "times"]
FORMS = {  # the layout in memory, and whether numbers have 16 bits
    "plain": (torch.contiguous_format, False),
    "channels last": (torch.channels_last, False),
    "bfloat16": (torch.contiguous_format, True),
    "both": (torch.channels_last, True),
}


def make_steps(size: int, batch_size: int, form: str, device: torch.device) -> dict:
    """Return two functions: a step of training, and a forward pass."""
    layout, half = FORMS[form]
    precision = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
    inputs = torch.randn(batch_size, 3, size, size, device=device).to(memory_format=layout)
    labels = torch.arange(batch_size, device=device) % 10
    model = torchvision.models.resnet18(num_classes=10).to(device)
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        with precision:
            loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def forward() -> None:
        model.eval()
        with precision:
            model(inputs)

    return {"train": train, "forward": forward}


def measure(
    size: int, batch_size: int, device: torch.device, *, rounds: int = 5, threads: int = 2
) -> list[list[str]]:
    """Return the rows of all forms, from the medians over the rounds."""
    steps = {form: make_steps(size, batch_size, form, device) for form in FORMS}
    seconds = defaultdict(list)
    for _ in range(rounds):
        for form in FORMS:
            for what, step in steps[form].items():
                timer = Timer("step()", globals={"step": step}, num_threads=threads)
                seconds[form, what].append(timer.timeit(2).mean)  # after one that doesn't count
    found, rows = {key: median(values) for key, values in seconds.items()}, []
    for form in FORMS:
        row = [device.type, str(size), str(batch_size), form]
        for what in ("train", "forward"):
            mine = found[form, what]
            row += [f"{batch_size / mine:.0f}", number(found["plain", what] / mine)]
        rows.append(row)
    return rows


if __name__ == "__main__":
    rows = [row for size, batch in SETTINGS for row in measure(size, batch, get_device())]
    write(ROOT / "book" / "hardware.csv", COLUMNS, rows)
