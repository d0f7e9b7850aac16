"""Which files the book works on, where each lies, and which edition of it is in use.

Pictures and a backbone exist twice: rendered, in this package, and photographic, in a folder that
`make data` fills. `EDITION` in the environment chooses, or the argument `edition`: `auto` (the
default) takes photographs where they are whole, `rendered` never; `photos` wants some at least.
"""

import hashlib
import os
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
    sha256: str = ""


class Asset(NamedTuple):
    """One asset of the edition in use."""

    name: str  #: a key of `RENDERED`
    edition: str  #: "rendered" or "photos"
    path: Path  #: the file or the folder
    summary: str  #: what it is, in a line


RENDERED = {
    "ants_bees": Form(
        "ants_bees",
        "ray-traced ants and bees",
        "4556153b9d6e9f74a5346922e08bc8723622613ecfcb005c72e833fbb2bfc799",
    ),
    "cifar10": Form(
        "cifar10",
        "ray-traced toy models of CIFAR-10's ten classes",
        "8981972fe85344e394703d7a9d9e3d5df35fbfe6da60b61ce906ae636514eb91",
    ),
    "backbone": Form(
        "resnet18_tiny_imagenet.safetensors",
        "ResNet-18 pretrained on Tiny ImageNet",
        "fbff65b85e75838e2212b7a35cac376c05b775a33139587d75d992a94ccee44c",
    ),
    "tf_efficientnet_lite0": Form(
        "efficientnet_lite0_imagenet.safetensors",
        "EfficientNet-Lite0 from ImageNet",
        "c4117a10d10cf2f3b5a1ed7ae5e966d9939525b09aff571725cea4635cdab3f5",
    ),
    "tf_efficientnet_lite2": Form(
        "efficientnet_lite2_imagenet.safetensors",
        "EfficientNet-Lite2 from ImageNet",
        "1332b24ac810cd656d1521aff8f896eba40f566359462b9ad901cb951bffd799",
    ),
}
PHOTOS = {  # what is not here is the same in both editions
    "ants_bees": Form(
        "hymenoptera_data",
        "photographs of ants and bees",
        "b0e3506710bc375be5996e1c9b29818c80cdfc19bcc324e560091da6690149ec",
    ),
    "cifar10": Form("cifar-10-batches-py", "CIFAR-10"),  # torchvision knows its files
    "backbone": Form(
        "resnet18-f37072fd.pth",
        "ResNet-18 pretrained on ImageNet",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
}


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
