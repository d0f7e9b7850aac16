"""The machine: its device, its random numbers, its progress bars and its disk."""

import os
import random
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm


def get_device() -> torch.device:
    """Return the accelerator of this machine (CUDA, MPS, …), or else its CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def progress(loop: Iterable, what: str, total: int | None = None) -> Iterable:
    """Return the loop, with a bar after five seconds, unless TQDM_DISABLE=1 is set."""
    disabled = os.environ.get("TQDM_DISABLE") == "1"  # which tqdm's bars for notebooks overlook
    return tqdm(loop, what, total, delay=5, leave=False, disable=disabled)


def seed_everything(seed: int) -> None:
    """Seed Python's and PyTorch's random number generators, on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def generators(loader: DataLoader) -> list[torch.Generator]:
    """List what a loader draws from: PyTorch's own generator, the loader's and its sampler's."""
    found = (torch.default_generator, loader.generator, getattr(loader.sampler, "generator", None))
    return [generator for generator in found if generator is not None]


@contextmanager
def preserve_rng_state(loader: DataLoader) -> Iterator[None]:
    """Put the CPU's random numbers back after a `with` block: the loader's, and NumPy's too."""
    states = [(random.setstate, random.getstate()), (np.random.set_state, np.random.get_state())]
    states += [(own.set_state, own.get_state()) for own in generators(loader)]
    try:
        yield
    finally:
        for set_state, state in states:
            set_state(state)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a `with` block a path to write to; at its end, move what is there to `path`, whole."""
    path = Path(path)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # a kill leaves it
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
