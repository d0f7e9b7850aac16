"""Where the photographs come from, and how large what comes may be."""

from typing import NamedTuple

from torchvision.datasets import CIFAR10

from helpers import assets


class Source(NamedTuple):
    """The archive that holds the photographic form of an asset."""

    archive: str  #: the name of the file to bring
    url: str  #: where its authors publish it
    hash: str | None  #: of the archive; None where it is known by what it holds
    max_files: int  #: an archive that holds more is refused
    max_bytes: int  #: as is one that unpacks to more


SOURCES = {
    "ants_bees": Source(
        "hymenoptera_data.zip",
        "https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        None,
        max_files=500,
        max_bytes=60_000_000,
    ),
    "cifar10": Source(
        "cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        f"md5:{CIFAR10.tgz_md5}",
        max_files=20,
        max_bytes=200_000_000,
    ),
    "backbone": Source(
        "resnet18-f37072fd.pth",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        f"sha256:{assets.IMAGENET_SHA256}",
        max_files=1,
        max_bytes=50_000_000,
    ),
}
