"""What a folder of features holds: a list of everything, and the features in shards.

    features = read_features(OUT)        # a data set of (features, label), as `fit` takes it

`manifest.json` names the settings, the pictures with their labels, and the files of the shards, in
order. A file's name is made of the settings and of the names and sizes of its pictures. So features
of something else are never taken for these; what the list doesn't name, nothing reads.
"""

import hashlib
import json
import math
import os
import secrets
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, TensorDataset

from helpers.pictures.decode import name_some
from helpers.pictures.folders import Listing


def make_manifest(settings: dict, listing: Listing, shard_size: int) -> dict:
    """Return what a folder is to hold; `settings` are all that features depend on but pictures."""
    names = [path.relative_to(listing.root).as_posix() for path in listing.paths]
    sizes = [path.stat().st_size for path in listing.paths]  # in bytes
    shards = []
    for start in range(0, len(names), shard_size):
        part = slice(start, start + shard_size)
        key = hashlib.sha256(json.dumps([settings, names[part], sizes[part]]).encode())
        shards.append(f"shard-{len(shards):05}-{key.hexdigest()[:12]}.npy")
    settings = settings | {"shard size": shard_size, "class names": listing.class_names}
    manifest = {"settings": settings, "shards": shards, "labels": listing.labels, "names": names}
    return json.loads(json.dumps(manifest))  # as it is read back


def read_manifest(out: str | Path) -> dict:
    """Read what a folder is to hold."""
    path = Path(out, "manifest.json")
    if not path.exists():
        raise FileNotFoundError(f"no {path}: extract features into this folder first")
    return json.loads(path.read_text("utf8"))


def write_manifest(out: Path, manifest: dict) -> None:
    """Write what a folder is to hold, at once, since others may be reading."""
    aside = out / f"manifest.json.{secrets.token_hex(4)}.unfinished"
    aside.write_text(json.dumps(manifest), "utf8")
    os.replace(aside, out / "manifest.json")


def refuse_others(out: Path, manifest: dict) -> None:
    """Raise ValueError where the folder is for features with other settings."""
    if not Path(out, "manifest.json").exists():
        return
    there, here = read_manifest(out)["settings"], manifest["settings"]
    if others := [name for name in here if there.get(name) != here[name]]:
        differing = (f"{name} was {there.get(name)}, is {here[name]}" for name in others)
        raise ValueError(
            f"{out} is for features that were extracted otherwise: {'; '.join(differing)}. Choose "
            f"as then, or give another folder"
        )


def what_is_missing(out: Path, manifest: dict) -> str:
    """Say which shards are not there; nothing where all are."""
    shards = manifest["shards"]
    missing = [name for name in shards if not (out / name).exists()]
    if not missing:
        return ""
    return (
        f"{len(missing)} of {len(shards)} shards are missing in {out}: "
        f"{name_some(missing, count=3)}; the same command goes on with them"
    )


def read_features(out: str | Path) -> ConcatDataset:
    """Return the features `(num_features,)`, float32, and the label of each picture, in order.

    They stay on disk, mapped into memory, so there may be more of them than fit. The names of the
    pictures and of the classes are in `read_manifest(out)`.
    """
    manifest = read_manifest(out)
    if missing := what_is_missing(Path(out), manifest):
        raise FileNotFoundError(missing)
    shards = [map_features(Path(out, name)) for name in manifest["shards"]]
    labels = torch.tensor(manifest["labels"]).split([len(features) for features in shards])
    return ConcatDataset([TensorDataset(*both) for both in zip(shards, labels, strict=True)])


def map_features(path: Path) -> Tensor:
    """Map a .npy file of float32 into memory, as `np.load` does, which leaves the file open.

    Of open files a system allows a thousand or so, and there may be more shards.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start, count = file.tell() // dtype.itemsize, math.prod(shape)
    numbers = torch.from_file(str(path), shared=False, size=start + count, dtype=torch.float32)
    return numbers[start:].view(shape)
