"""The machine, its random numbers, and what training leaves on disk."""

import copy
import io
import random
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from helpers.files import DIGEST_BYTES, is_whole, writing_whole


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
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"results": results, "random": torch.get_rng_state(), "python": random.getstate()}
    if loader.generator is not None:
        state["shuffling"] = loader.generator.get_state()
    content = io.BytesIO()
    torch.save(state, content)
    with writing_whole(Path(path)) as file:
        file.write(content.getbuffer())


def load_checkpoint(path: str | Path, parts: dict, loader: DataLoader) -> dict:
    """Put the parts, the shuffling and the random numbers back; return the results.

    Raises FileNotFoundError without such a file, ValueError if it is damaged or was made for other
    parts; then everything is as it was before.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: train once with checkpoint={str(path)!r}")
    if not is_whole(path):
        raise ValueError(f"{path} is damaged, or no checkpoint of `fit`: train anew without it")
    content = io.BytesIO(path.read_bytes()[:-DIGEST_BYTES])
    # weights_only: a checkpoint holds numbers, so nothing in it may run code
    state = torch.load(content, map_location="cpu", weights_only=True)
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, ValueError, RuntimeError) as error:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        reason = f"it holds no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} was written by a training of another kind: {reason}") from error
    torch.set_rng_state(state["random"])
    random.setstate(state["python"])
    if loader.generator is not None and "shuffling" in state:
        loader.generator.set_state(state["shuffling"])
    return state["results"]
