"""Small files that stand for the photographs, a server of them, and processes to be killed.

A child process starts from a server that has imported PyTorch once: otherwise each would take
seconds for that.
"""

import hashlib
import io
import multiprocessing
import os
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10

from helpers import assets
from tools import photographs

PROCESSES = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
if hasattr(os, "fork"):
    PROCESSES.set_forkserver_preload(["tools.photographs", "helpers.features", "helpers.training"])


def make_archives(folder: Path, size: int = 1000) -> dict:
    """Write the three archives, of about `size` bytes each; return how they are known."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    pictures = {
        f"{split}/ants/{name}": random.bytes(size // 4)
        for split in ("train", "val") for name in ("1.jpg", "imageNotFound.gif")
    }  # fmt: skip
    with zipfile.ZipFile(folder / "hymenoptera_data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pictures.items():
            archive.writestr(f"hymenoptera_data/{name}", content)
    lines = [f"{hashlib.sha256(pictures[name]).hexdigest()}  {name}\n" for name in sorted(pictures)]

    batches = {f"data_batch_{i}": random.bytes(size // 2) for i in (1, 2)}
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in (batches | {"readme.html": b"<html>"}).items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    weights = random.bytes(size)
    (folder / "resnet18-f37072fd.pth").write_bytes(weights)
    tar = (folder / "cifar-10-python.tar.gz").read_bytes()
    return {
        "pictures": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "batches": [[name, hashlib.md5(content).hexdigest()] for name, content in batches.items()],
        "tar": f"md5:{hashlib.md5(tar).hexdigest()}",
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def known_by(known: dict, setattr=setattr) -> None:
    """Let `helpers.assets` take such archives for the photographs."""
    hashes = {"ants_bees": known["pictures"], "backbone": known["weights"]}
    photos = {n: form._replace(sha256=hashes.get(n, "")) for n, form in assets.PHOTOS.items()}
    setattr(assets, "PHOTOS", photos)
    setattr(CIFAR10, "train_list", known["batches"][:1])
    setattr(CIFAR10, "test_list", known["batches"][1:])
    first, md5 = known["batches"][0]
    setattr(CIFAR10, "meta", {"filename": first, "md5": md5})
    hashes = {"ants_bees": None, "cifar10": known["tar"]}
    hashes["backbone"] = f"sha256:{known['weights']}"
    sources = photographs.SOURCES.items()
    found = {name: source._replace(hash=hashes[name]) for name, source in sources}
    setattr(photographs, "SOURCES", found)


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


@contextmanager
def serving(folder: Path, handler=photographs.Listed):
    """Serve a folder for a `with` block, from a thread; give the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf8")


def listing(folder: Path) -> dict[str, str]:
    """Tell all that lies in a folder: the hashes of files, where links lead, and folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            what = f"a link to {os.readlink(path)}"
        elif path.is_dir():
            what = "a folder"
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(folder).as_posix()] = what
    return found
