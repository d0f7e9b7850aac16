"""Measure what memory layouts and number formats gain on this machine or its accelerator.

    python -m tools.bench.hardware

A ResNet-18 and one random batch that lies in memory, as in `bare.py`; every form takes its turn in
each round, so that a drifting machine hits all alike. Writes `book/hardware.csv`: pictures a second
and how many times those of the plain form, for a step of training and for a forward pass.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torchvision
from torch import nn

from helpers.runtime import get_device
from tools.bench.protocol import set_threads
from tools.bench.report import ROOT, number, write

SETTINGS = ((32, 100), (96, 16), (224, 16))
COLUMNS = [
    "device",
    "pixels",
    "batch",
    "form",
    "trained a second",
    "times",
    "seen a second",
    "times",
]
FORMS = {  # the layout in memory, and the format of numbers
    "plain": (torch.contiguous_format, "float32"),
    "channels last": (torch.channels_last, "float32"),
    "bfloat16": (torch.contiguous_format, "bfloat16"),
    "both": (torch.channels_last, "bfloat16"),
    "TF32": (torch.contiguous_format, "tf32"),  # on CUDA only
}


@contextmanager
def precision(numbers: str, device: torch.device) -> Iterator[None]:
    """Compute with that format of numbers, for a `with` block."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    tf32 = numbers == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=numbers == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def make_steps(
    size: int, batch_size: int, form: str, device: torch.device
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return two functions: a step of training, and a forward pass."""
    layout, numbers = FORMS[form]
    torch.manual_seed(0)
    inputs = torch.randn(batch_size, 3, size, size).to(device, memory_format=layout)
    labels = (torch.arange(batch_size) % 10).to(device)
    model = torchvision.models.resnet18(num_classes=10).to(device, memory_format=layout)
    frozen, criterion = copy.deepcopy(model).eval(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad()
        with precision(numbers, device):
            loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device

    @torch.no_grad()
    def forward() -> None:
        with precision(numbers, device):
            frozen(inputs).sum().item()

    return train, forward


def measure(size: int, batch_size: int, steps: int, device: torch.device) -> list[list[str]]:
    """Return the rows of all forms: the median over the rounds, after two that don't count."""
    forms = [form for form in FORMS if form != "TF32" or device.type == "cuda"]
    functions = {form: make_steps(size, batch_size, form, device) for form in forms}
    seconds: dict[str, tuple[list, list]] = {form: ([], []) for form in forms}
    for _ in range(2 + steps):
        for form in forms:
            for function, times in zip(functions[form], seconds[form], strict=True):
                start = time.perf_counter()
                function()
                times.append(time.perf_counter() - start)
    medians = {form: [statistics.median(t[2:]) for t in both] for form, both in seconds.items()}
    rows = []
    for form, found in medians.items():
        row = [device.type, str(size), str(batch_size), form]
        for plain, mine in zip(medians["plain"], found, strict=True):
            row += [f"{batch_size / mine:.0f}", number(plain / mine)]
        rows.append(row)
    return rows


def main() -> None:
    """Measure all forms at each size; write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "book", help="where to write")
    args = parser.parse_args()
    set_threads(args.threads)
    rows = []
    for size, batch_size in SETTINGS:
        rows += measure(size, batch_size, args.steps, get_device())
        print(*rows[-4:], sep="\n", flush=True)
    write(args.out / "hardware.csv", COLUMNS, rows)


if __name__ == "__main__":
    main()
