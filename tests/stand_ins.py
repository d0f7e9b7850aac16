"""Small files that stand for the photographs, and children that do things to them.

A child process starts from a server that has imported PyTorch once: otherwise each would take
seconds for that.
"""

import hashlib
import io
import multiprocessing
import os
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import sources
from bring import bring
from torchvision.datasets import CIFAR10

from helpers import assets

PROCESSES = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
if hasattr(os, "fork"):
    PROCESSES.set_forkserver_preload(["bring", "helpers.features", "helpers.training"])


def make_archives(folder: Path, size: int = 1000, num_pictures: int = 4) -> dict:
    """Write the three archives, of about `size` bytes each; return how they are known."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    pictures = {
        f"hymenoptera_data/{('train', 'val')[i % 2]}/{('ants', 'bees')[i // 2 % 2]}/{i}.jpg":
            random.bytes(size // num_pictures)
        for i in range(num_pictures)
    }  # fmt: skip
    with zipfile.ZipFile(folder / "hymenoptera_data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
    lines = sorted(
        (name.removeprefix("hymenoptera_data/"), hashlib.sha256(content).hexdigest())
        for name, content in pictures.items()
    )
    manifest = "".join(f"{digest}  {name}\n" for name, digest in lines)

    batches = {f"data_batch_{i}": random.bytes(size // 2) for i in (1, 2)}
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    weights = random.bytes(size)
    (folder / "resnet18-f37072fd.pth").write_bytes(weights)
    tar = (folder / "cifar-10-python.tar.gz").read_bytes()
    return {
        "pictures": hashlib.sha256(manifest.encode()).hexdigest(),
        "batches": [[name, hashlib.md5(content).hexdigest()] for name, content in batches.items()],
        "tar": f"md5:{hashlib.md5(tar).hexdigest()}",
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def known_by(known: dict, setattr=setattr) -> None:
    """Let `helpers.assets` take such archives for the photographs."""
    setattr(assets, "HYMENOPTERA_SHA256", known["pictures"])
    setattr(assets, "IMAGENET_SHA256", known["weights"])
    setattr(CIFAR10, "train_list", known["batches"][:1])
    setattr(CIFAR10, "test_list", known["batches"][1:])
    first, md5 = known["batches"][0]
    setattr(CIFAR10, "meta", {"filename": first, "md5": md5})
    hashes = {"ants_bees": None, "cifar10": known["tar"]}
    hashes["backbone"] = f"sha256:{known['weights']}"
    found = {name: one._replace(hash=hashes[name]) for name, one in sources.SOURCES.items()}
    setattr(sources, "SOURCES", found)


@contextmanager
def child(function, *arguments):
    """Run a function in a process of its own; kill it at the end of a `with` block."""
    process = PROCESSES.Process(target=function, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def bring_in_a_child(known: dict, names: list[str], source: str, folder: Path) -> None:
    """Bring these assets; exit with 1 where that fails."""
    known_by(known)
    for name in names:
        bring(name, source, folder)
