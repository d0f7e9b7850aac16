"""Files that are written as a whole or not at all; and those from which training resumes.

The last 32 bytes of such a file are the SHA-256 of all bytes before them.
"""

import copy
import hashlib
import io
import os
import pickle
import re
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from operator import length_hint
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from helpers.metrics import History
from helpers.runtime import generators, random_states, set_random_states

FORMAT = 2  # of checkpoints: a new number for each change of what they hold
# What moves in a schedule during training; all else is how it was set up.
MOVING = {
    "last_epoch", "_last_lr", "_step_count", "_is_initial", "_get_lr_called_within_step", "best",
    "num_bad_epochs", "cooldown_counter", "T_cur", "T_i", "lr_lambdas", "_schedulers",
}  # fmt: skip
DIGEST_BYTES = hashlib.sha256().digest_size


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a `with` block a file to write; put it in the place of `path` when the block ends.

    It is written beside `path`, so that a crash, a kill or a full disk leaves what was there, and
    several processes may write the same file.
    """
    remove_leftovers(path.parent)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with aside.open("xb+") as file:
            yield file
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, os.SEEK_END)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not on its way
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left unfinished in `folder`: untouched for an hour, or more.

    Nothing ever reads such a file. Another process may be removing it, too.
    """
    for leftover in folder.glob(f"*.{'[0-9a-f]' * 8}.unfinished"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                leftover.unlink()


def is_whole(path: Path) -> bool:
    """Tell whether there is such a file, with every byte as it was written."""
    try:
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END) - DIGEST_BYTES
            if left < 0:
                return False
            file.seek(0)
            digest = hashlib.sha256()
            while left and (chunk := file.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
            return file.read() == digest.digest()
    except OSError:
        return False


def check_folder(path: str | Path) -> None:
    """Raise FileNotFoundError where there is no folder for a checkpoint: before any training."""
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"no folder {Path(path).parent}: make it first")


def keep_training(
    path: str | Path, parts: dict, loader: DataLoader, history: History, best_weights: dict
) -> None:
    """Write the checkpoint of `fit`; warn where the disk refuses, since training can go on."""
    try:
        results = {"history": asdict(history), "best_weights": best_weights}
        save_checkpoint(path, parts, loader, **results)
    except OSError as error:
        warnings.warn(
            f"no checkpoint of epoch {len(history.lr)} ({error}); training goes on, an earlier one "
            f"stays",
            stacklevel=3,
        )


def resume_training(
    path: str | Path, parts: dict, loader: DataLoader, num_epochs: int
) -> tuple[History, dict]:
    """Put everything where the checkpoint of `fit` stands; return its history and best weights."""
    done = len(read_checkpoint(Path(path))["results"]["history"]["lr"])
    if done > num_epochs:
        raise ValueError(
            f"{path} holds {done} epochs, more than num_epochs={num_epochs}: ask for {done} or "
            f"more, or train anew without it"
        )
    results = load_checkpoint(path, parts, loader)
    return History(**results["history"]), results["best_weights"]


def save_checkpoint(path: str | Path, parts: dict, loader: DataLoader, **results) -> None:
    """Write all that training needs to go on, so that `path` never holds half a file.

    parts: what has a state: {"model": model, "optimizer": optimizer, …}.
    loader: the training loader, for where its shuffling stands.
    results: numbers, lists, dictionaries and tensors to keep beside them.

    Raises ValueError for what could not be read back.
    """
    if isinstance(parts.get("scheduler"), ReduceLROnPlateau):  # others keep the first rate
        for group in parts["optimizer"].param_groups:
            group.setdefault("initial_lr", group["lr"])
    state = {
        "format": FORMAT,
        "settings": settings(parts, loader),
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "random": random_states(),
        "shuffling": [own.get_state() for own in generators(loader)],
        "results": results,
    }
    content = io.BytesIO()
    torch.save(plain(state), content)
    decode(content.getvalue(), path)
    with writing_whole(Path(path)) as file:
        file.write(content.getbuffer())


def load_checkpoint(path: str | Path, parts: dict, loader: DataLoader) -> dict:
    """Put the parts, the shuffling and the random numbers back; return the results.

    Raises FileNotFoundError without such a file, ValueError if it is damaged or the training was
    set up in another way; then everything is as it was before.
    """
    state = read_checkpoint(Path(path))
    stored, here = state["settings"], settings(parts, loader)
    if others := [
        f"{name} was {stored.get(name, 'not there')}, is {here.get(name, 'not there')}"
        for name in stored | here
        if stored.get(name) != here.get(name)
    ]:
        raise ValueError(
            f"{path} is of a training run that was set up otherwise: {'; '.join(others[:5])}. "
            f"Set it up as it was, or train anew without it"
        )
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
    except Exception as error:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        raise ValueError(f"{path} is of another model or optimizer: {error}") from error
    set_random_states(state["random"])
    for own, shuffling in zip(generators(loader), state["shuffling"], strict=True):
        own.set_state(shuffling)
    return state["results"]


def settings(parts: dict, loader: DataLoader) -> dict:
    """Name how a training run is set up, but not how long it is to be."""
    found: dict = {name: type(part).__name__ for name, part in parts.items()}
    found["batch size"] = loader.batch_size
    found["number of training examples"] = length_hint(loader.dataset)
    found["number of generators in the loader"] = len(generators(loader))
    for name, part in parts.items():
        if isinstance(part, Optimizer):
            for i, group in enumerate(part.param_groups):
                moving = {"momentum", "betas"} if "base_momentum" in group else set()
                rate = {"lr": group.get("initial_lr", group["lr"])}  # a schedule moves lr
                for key, value in (group | rate).items():
                    if key not in moving | {"params", "initial_lr"}:
                        found[f"{key} of {name} group {i}"] = value
        elif hasattr(part, "last_epoch"):
            for i, schedule in enumerate([part, *getattr(part, "_schedulers", [])]):
                for key, value in schedule.state_dict().items():
                    if key not in MOVING:
                        found[f"{key} of {name} {i}"] = value
                for j, function in enumerate(getattr(schedule, "lr_lambdas", [])):
                    found[f"function {j} of {name} {i}"] = values = []
                    with suppress(Exception):  # it may know the epochs of its own training only
                        values.extend(function(epoch) for epoch in range(100))
    return plain(found)


def plain(value: Any) -> Any:
    """Return nested dictionaries and lists with NumPy's numbers as Python's: what is read back."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is tuple:
        return tuple(plain(item) for item in value)
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    return value


def read_checkpoint(path: Path) -> dict:
    """Return what `save_checkpoint` wrote, or raise ValueError where that isn't in the file."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: train once with checkpoint={str(path)!r}")
    content = path.read_bytes()[:-DIGEST_BYTES]
    if not is_whole(path) or not content.startswith(b"PK"):  # torch.save makes a zip archive
        raise ValueError(f"{path} is damaged, or no checkpoint of `fit`: train anew without it")
    state = decode(content, path)
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path} has the format {found}, not {FORMAT}, so another version of this code wrote "
            f"it: go on with that one, or train anew without the file"
        )
    return state


def decode(content: bytes, path: str | Path) -> dict:
    """Read what `torch.save` wrote, with weights_only, so that nothing in it may run code."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        kind = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} can't hold {kind[1] if kind else 'this'}: only numbers, texts, tensors, lists "
            f"and dictionaries are read back, since all else might run code"
        ) from error
