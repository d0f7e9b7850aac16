"""Which files the book works on, where each lies, and which edition of it is in use.

Pictures and a backbone exist twice: rendered, in this package, and photographic, in a folder that
`make data` fills. `EDITION` in the environment chooses, or the argument `edition`: `auto` (the
default) takes photographs where they are whole, `rendered` never; `photos` wants some at least.
"""

import hashlib
import os
import tomllib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import platformdirs
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from helpers.pictures.folders import is_hidden

EMBEDDED = Path(__file__).parent / "embedded"
CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905


class Form(NamedTuple):
    """One form of an asset: its file or folder, what it is, in a line, and its `sha256_of`."""

    target: str
    summary: str
    sha256: str


class Asset(NamedTuple):
    """One asset of the edition in use."""

    name: str  #: a key of `RENDERED`
    edition: str  #: "rendered" or "photos"
    path: Path  #: the file or the folder
    summary: str  #: what it is, in a line


TABLE = tomllib.loads(Path(__file__).with_name("assets.toml").read_text(encoding="utf8"))
RENDERED = {name: Form(*row) for name, row in TABLE["rendered"].items()}
PHOTOS = {name: Form(*row) for name, row in TABLE["photos"].items()}


def weights(network: str) -> Path | None:
    """Return the file of pretrained weights for a network of `models.build`, if there is one."""
    name = "backbone" if network == "resnet18" else network
    return resolve(name).path if name in RENDERED else None


def input_size() -> int:
    """Return at how many pixels a side the backbone in use sees ants and bees best.

    The embedded one learned from crops of 64 pixels (Touvron et al., 2019, arXiv:1906.06423).
    """
    return 224 if backbone().edition == "photos" else 96


def resolve(name: str, edition: str | None = None) -> Asset:
    """Find an asset in the edition asked for (else `EDITION`, else `auto`), whole and unchanged."""
    edition = edition or os.environ.get("EDITION") or "auto"
    if edition not in ("auto", "rendered", "photos"):
        raise ValueError(f"edition is {edition!r}: choose one of auto, rendered, photos")
    folder = photographs_folder()
    if edition != "rendered" and name in PHOTOS and has_photographs(name):
        path = folder if name == "cifar10" else folder / PHOTOS[name].target
        return Asset(name, "photos", path, PHOTOS[name].summary)
    if edition == "photos" and not any(has_photographs(other) for other in PHOTOS):
        raise FileNotFoundError(f"no photographs in {folder}: bring them with `make data`")
    path = EMBEDDED / RENDERED[name].target
    if not path.exists() or sha256_of(path) != RENDERED[name].sha256:
        raise ValueError(f"{path} is missing or changed: take it from a fresh copy of the course")
    return Asset(name, "rendered", path, RENDERED[name].summary)


ants_bees = partial(resolve, "ants_bees")  #: a folder with `train` and `val`, a folder a class
cifar10 = partial(resolve, "cifar10")  #: what torchvision's `CIFAR10` reads, or rendered sheets
backbone = partial(resolve, "backbone")  #: the file of a pretrained ResNet-18


def show_editions() -> None:
    """Print what this run works on."""
    for asset in map(resolve, PHOTOS):
        print(f"{asset.name:9}  {asset.edition:8}  {asset.summary}")


def photographs_folder() -> Path:
    """Return the folder of `make data`, in `TRANSFER_LEARNING_DATA` or your account's data."""
    account = platformdirs.user_data_path("transfer-learning-hands-on")
    data = os.environ.get("TRANSFER_LEARNING_DATA") or account
    return Path(data, "transfer-learning-photographs")


def has_photographs(name: str, folder: Path | None = None) -> bool:
    """Tell whether the photographic form of an asset is in `folder`, complete and unchanged."""
    path = (folder or photographs_folder()) / PHOTOS[name].target
    if name == "cifar10":
        meta = CIFAR10.meta["filename"], CIFAR10.meta["md5"]
        files = [*CIFAR10.train_list, *CIFAR10.test_list, meta]
        return all(check_integrity(path / file, md5) for file, md5 in files)
    return path.exists() and sha256_of(path) == PHOTOS[name].sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256, in hexadecimal, of a file, or of a folder's `sha256sum` lines, sorted.

    What systems leave in a folder, such as .DS_Store and Thumbs.db, does not count.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    names = sorted(f.as_posix() for f in files if not any(map(is_hidden, f.parts)))
    lines = [f"{sha256_of(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
