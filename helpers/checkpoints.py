"""Files that are written as a whole or not at all; and those from which a training goes on.

The last 32 bytes of such a file are the SHA-256 of all bytes before them.
"""

import copy
import hashlib
import io
import os
import pickle
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import torch
from torch.utils.data import DataLoader

from helpers.runtime import get_device

FORMAT = 1  # of checkpoints: a new number for each change of what they hold
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


def kind_of_training(parts: dict, loader: DataLoader) -> str:
    """Say what a training is made of: only one of the same kind can go on from a checkpoint."""
    kinds = [f"{name} {type(part).__name__}" for name, part in parts.items()]
    own = "no generator" if loader.generator is None else "a generator"
    return f"{', '.join(kinds)}, and {own} in the loader"


def save_checkpoint(path: str | Path, parts: dict, loader: DataLoader, **results) -> None:
    """Write all that training needs to go on, so that `path` never holds half a file.

    parts: what has a state: {"model": model, "optimizer": optimizer, …}.
    loader: the training loader, for where its shuffling stands.
    results: numbers, lists, dictionaries and tensors to keep beside them.
    """
    state = {
        "format": FORMAT,
        "kind": kind_of_training(parts, loader),
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "random": random_states(),
        "shuffling": None if loader.generator is None else loader.generator.get_state(),
        "results": results,
    }
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
    state = read_checkpoint(path)
    kind = kind_of_training(parts, loader)
    another = f"{path} was written by a training of another kind, so this one can't go on from it:"
    if state["kind"] != kind:
        raise ValueError(f"{another} with {state['kind']}; here are {kind}")
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
    except Exception as error:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        raise ValueError(f"{another} {error}") from error
    set_random_states(state["random"])
    if loader.generator is not None:
        loader.generator.set_state(state["shuffling"])
    return state["results"]


def read_checkpoint(path: Path) -> dict:
    """Return what `save_checkpoint` wrote, or raise ValueError where that isn't in the file."""
    content = path.read_bytes()[:-DIGEST_BYTES]
    if not is_whole(path) or not content.startswith(b"PK"):  # torch.save makes a zip archive
        raise ValueError(f"{path} is damaged, or no checkpoint of `fit`: train anew without it")
    try:
        # weights_only: a checkpoint holds numbers, so nothing in it may run code
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it holds more than numbers, which might run code"
        raise ValueError(f"{path} isn't loaded: {reason}; train anew without it") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path} has the format {found}, not {FORMAT}, so another version of this code wrote "
            f"it: go on with that one, or train anew without the file"
        )
    return state
