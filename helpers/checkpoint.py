"""Training runs that go on after a break, to the same result."""

import random
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from helpers.runtime import atomic_write, generators, get_device


def save_checkpoint(path: str | Path, parts: dict, loader: DataLoader, **results) -> None:
    """Write all that training needs to go on; raise pickle.UnpicklingError for other `results`.

    parts: what has a state: {"model": model, "optimizer": optimizer, "scheduler": scheduler}.
    loader: the training loader, for where its shuffling stands.
    results: numbers, lists, dictionaries and tensors to keep beside them.
    """
    state = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "results": results,
        "python": random.getstate(),
        "generators": [own.get_state() for own in generators(loader)],
    }
    if (device := get_device().type) != "cpu":
        state[device] = torch.get_device_module(device).get_rng_state()
    with atomic_write(path) as aside:
        torch.save(state, aside)
        torch.load(aside, map_location="cpu", weights_only=True)


def load_checkpoint(path: str | Path, parts: dict, loader: DataLoader) -> dict:
    """Put the parts and all random numbers back where they were; return the results.

    Raises FileNotFoundError without such a file, ValueError for one of another kind, network or
    optimizer: then the parts may hold some of it, so make them anew.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint {path}: train once with checkpoint={str(path)!r}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name in parts | state["parts"]:
            parts[name].load_state_dict(state["parts"][name])
        random.setstate(state["python"])
        for own, its_state in zip(generators(loader), state["generators"], strict=True):
            own.set_state(its_state)
    except Exception as error:  # no archive, a part missing, other layers …
        raise ValueError(
            f"{path} is damaged, or no checkpoint of this network, optimizer, schedule and "
            f"loader: set all up as it was, or train anew without it"
        ) from error
    if (device := get_device().type) in state:
        torch.get_device_module(device).set_rng_state(state[device])
    return state["results"]
