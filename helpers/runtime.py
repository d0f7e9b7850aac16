"""The machine, its random numbers, and what training leaves on disk."""

import os
import random
from pathlib import Path

import torch
from torch.utils.data import DataLoader


def get_device() -> torch.device:
    """Return the accelerator of this machine (CUDA, MPS, …), or else its CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python's and PyTorch's random number generators, on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def save_checkpoint(path: str | Path, parts: dict, loader: DataLoader, **results) -> None:
    """Write all that training needs to go on, so that `path` never holds half a file.

    parts: what has a state: {"model": model, "optimizer": optimizer, …}.
    loader: the training loader, for where its shuffling stands.
    results: numbers, lists, dictionaries and tensors to keep beside them.
    """
    path = Path(path)
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"random": torch.get_rng_state(), "results": results}
    if loader.generator is not None:
        state["shuffling"] = loader.generator.get_state()
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def load_checkpoint(path: str | Path, parts: dict, loader: DataLoader) -> dict:
    """Put the parts, the shuffling and the random numbers back; return the results.

    Raises FileNotFoundError without such a file, ValueError if it was made for other parts.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint {path}: train once with checkpoint={str(path)!r}")
    # weights_only: a checkpoint holds numbers, so nothing in it may run code
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        if name not in state:
            raise ValueError(f"{path} holds no {name}: it was written by a training without one")
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    if loader.generator is not None and "shuffling" in state:
        loader.generator.set_state(state["shuffling"])
    return state["results"]
