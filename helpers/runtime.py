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
    """Return the loop; once it has taken five seconds, a bar shows how far it is.

    TQDM_DISABLE=1 in the environment takes all bars away.
    """
    disabled = os.environ.get("TQDM_DISABLE") == "1"  # of which its bars for notebooks know nothing
    return tqdm(loop, what, total, delay=5, leave=False, disable=disabled)


def seed_everything(seed: int) -> None:
    """Seed Python's and PyTorch's random number generators, on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def random_states() -> dict:
    """Return where the random numbers stand: Python's, PyTorch's and those of the accelerator."""
    states = {"python": random.getstate(), "cpu": torch.get_rng_state()}
    device = get_device().type
    if device != "cpu":
        states[device] = torch.get_device_module(device).get_rng_state()
    return states


def set_random_states(states: dict) -> None:
    """Go on with random numbers where `states` stand; those of an absent accelerator are left."""
    random.setstate(states["python"])
    torch.set_rng_state(states["cpu"])
    device = get_device().type
    if device != "cpu" and device in states:
        torch.get_device_module(device).set_rng_state(states[device])


def generators(loader: DataLoader) -> list[torch.Generator]:
    """List the generators that a loader and its samplers draw from, each once."""
    holders = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None))
    found = [getattr(holder, "generator", None) for holder in holders]
    return list(dict.fromkeys(own for own in found if own is not None))


@contextmanager
def preserve_rng_state(loader: DataLoader) -> Iterator[None]:
    """Draw from `loader` in a `with` block, then put all random numbers back, NumPy's too."""
    states, numpy_state = random_states(), np.random.get_state()
    own_states = [(own, own.get_state()) for own in generators(loader)]
    try:
        yield
    finally:
        set_random_states(states)
        np.random.set_state(numpy_state)
        for own, state in own_states:
            own.set_state(state)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a `with` block a path to write to; at its end, move what is there to `path`.

    Whatever happens, `path` holds the old file or the new one, never half of it. A process that is
    killed may leave its `.part` file beside it, which nothing reads.
    """
    path = Path(path)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
