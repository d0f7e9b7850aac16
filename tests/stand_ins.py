"""Small files that stand for the photographs, and what befalls them: servers, children, damage.

A child process starts from a server that has imported PyTorch once: otherwise each would take
seconds for that.
"""

import asyncio
import hashlib
import io
import itertools
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from helpers import assets
from tools.photographs import download, own, sources
from tools.photographs.bring import bring, remove

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


@contextmanager
def serving(application: Application):
    """Serve for a `with` block, from a thread; give the address."""
    loop, address, started = asyncio.new_event_loop(), [], threading.Event()

    async def start():
        sockets = bind_sockets(0, "127.0.0.1")
        HTTPServer(application).add_sockets(sockets)
        address.append(f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
        started.set()

    def run():
        asyncio.set_event_loop(loop)
        loop.create_task(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def write(path: Path, text: str) -> None:
    """Write a file, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def listing(folder: Path) -> dict[str, str]:
    """Tell all that lies in a folder: the hashes of files, where links lead, and folders."""
    found = {}
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in folders + files):
            if path.is_symlink():
                what = f"a link to {os.readlink(path)}"
            elif path.is_dir():
                what = "a folder"
            else:
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(folder).as_posix()] = what
    return found


def is_clean(folder: Path) -> bool:
    """Tell whether what was brought lies there, and nothing else."""
    archives = {f"archives/{name}" for name in own.names_of_archives()}
    known = {"archives", own.LOCK, *archives, *own.names_of_targets()}
    inside = tuple(f"{name}/" for name in own.names_of_targets())
    return all(path in known or path.startswith(inside) for path in listing(folder))


def fill(folder, outside):
    """Lay a user's things into a folder: with names like ours, linked, empty."""
    (outside / "ants").mkdir(parents=True, exist_ok=True)
    (outside / "ants" / "0.jpg").write_text("an ant of mine, with a name as in the archive")
    token = "0123456789abcdef"
    for name in (
        "archives/thesis/chapter 1.tex", "archives/letters.zip", "archives/tmpk3n2x_1q",
        "archives/hymenoptera_data.zip.part", "archives/unfinished-chapter/draft.txt",
        "unfinished-novel/page 1.txt", "unfinished-symphony.txt", ".lock", "my.zip.unfinished",
        "hymenoptera_data.unfinished/1.txt", f"novel.{token}.unfinished/1.txt",
        f"hymenoptera_data.{token[1:]}.unfinished/1.txt", f"resnet18-f37072fd.pth.{token}.replaced",
        f"hymenoptera_data.{token}.replaced/mine.txt", "tools/x.txt", "transfer-learning/x.txt",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"my {name}")
    (folder / "archives" / "nothing yet").mkdir()
    for place in (folder, folder / "archives"):
        (place / "linked").symlink_to(outside)
        (place / "dangling").symlink_to("nowhere")
        (place / f"hymenoptera_data.zip.{token}.unfinished").symlink_to(outside)
        (place / f"hymenoptera_data.{token}.unfinished").symlink_to(outside)


def fill_with_names_of_ours(folder):
    """Lay a user's own copies, not whole, beside our folder: they are not ours to judge."""
    for name in (*own.names_of_archives(), "hymenoptera_data/train/ants/0.jpg",
                 "hymenoptera_data/val/bees/mine.jpg", "cifar-10-batches-py/data_batch_1",
                 f"archives/{sources.SOURCES['ants_bees'].archive}"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"my {name}")


class Users:
    """A user's things in the data folder and in ours, and whether all are there still."""

    def __init__(self, root):
        folder, outside = assets.photographs_folder(), root / "outside"
        fill(folder.parent, outside)
        fill(folder, outside)
        fill_with_names_of_ours(folder.parent)
        self.root = root
        self.before = self.now()

    def now(self):
        return {path: what for path, what in listing(self.root).items()
                if path.startswith(("photographs", "outside"))}  # fmt: skip

    def has_all(self):
        return self.before.items() <= self.now().items()

    def has_only_this(self):
        return self.before == self.now()


VERBS = {"os.rename": "move", "os.remove": "remove", "os.rmdir": "remove", "os.mkdir": "make"}


def step_of(event, arguments):
    """Tell in words what Python says that it is about to do; None where that concerns no file."""
    if event == "open" and isinstance(arguments[0], str):
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return f"{'write' if writes else 'read'} {arguments[0]}"
    return f"{VERBS[event]} {os.fspath(arguments[0])}" if event in VERBS else None


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before(point, folder):
    """Let this process kill itself before a step: one that matches, or the n-th that changes."""
    changes = itertools.count()

    def hook(event, arguments):
        step = step_of(event, arguments)
        if step is None:
            return
        if isinstance(point, str):
            if re.fullmatch(point, step):
                die()
        elif not step.startswith("read") and (f" {folder}" in step or "/" not in step):
            next(changes) == point and die()

    if point == "download":
        pieces = itertools.count()
        download.tqdm.update = lambda *_: next(pieces) and die()  # at the second
    else:
        sys.addaudithook(hook)


def bring_to_the_kill(known, name, source, folder, point):
    known_by(known)
    kill_before(point, folder)
    bring(name, source, folder)
    if point == "end":
        die()


def remove_to_the_kill(known, folder, point):
    known_by(known)
    kill_before(point, folder)
    remove(folder)


def bring_and_damage(name, source):
    """Bring an asset and damage it, with a file of the user's in it; return what lies there."""
    bring(name, source)
    target = assets.photographs_folder() / assets.PHOTOS[name].target
    file = target if target.is_file() else next(target.rglob("*1*"))
    file.write_text("damaged")
    (assets.photographs_folder() / "archives" / sources.SOURCES[name].archive).unlink()
    return target, listing(target)


def damage(folder, random):
    """Damage a folder or a file in a random way; return the way, and what puts it right again."""
    files = sorted(p for p in folder.rglob("[!.]*") if p.is_file()) if folder.is_dir() else [folder]
    file = files[random.integers(len(files))]
    content = file.read_bytes()
    ways = ["flip", "cut", "grow", "zero"]
    if len(files) > 1:
        ways += ["remove", "add", "swap", "rename"]
    way = ways[random.integers(len(ways))]
    if way in ("flip", "cut", "grow", "zero"):
        position = int(random.integers(len(content)))
        changed = {
            "flip": content[:position]
            + bytes([content[position] ^ 1 << random.integers(8)])
            + content[position + 1 :],
            "cut": content[:position],
            "grow": content + bytes([random.integers(256)]),
            "zero": content[: position // 2] + bytes(len(content) - position // 2),
        }[way]
        if changed == content:
            changed += b"!"
        file.write_bytes(changed)
        return way, lambda: file.write_bytes(content)
    if way == "remove":
        file.unlink()
        return way, lambda: file.write_bytes(content)
    if way == "add":
        extra = file.with_name(f"extra{random.integers(1000)}{file.suffix}")
        extra.write_bytes(content)
        return way, extra.unlink
    if way == "rename":
        other = file.with_name("renamed" + file.name)
        file.rename(other)
        return way, lambda: other.rename(file)
    other = next(path for path in files if path.read_bytes() != content)
    swapped = other.read_bytes()
    file.write_bytes(swapped)
    other.write_bytes(content)

    def back():
        file.write_bytes(content)
        other.write_bytes(swapped)

    return way, back


def find_damage_of_the_rendered(name, count, folder, setitem):
    """Damage a copy of a rendered asset so many times: it must be found each time."""
    path = assets.EMBEDDED / assets.RENDERED[name].target
    copy = folder / path.name
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    setitem(assets.RENDERED, name, assets.Form(str(copy), ""))
    random = np.random.default_rng(0)
    for _ in range(count):
        way, repair = damage(copy, random)
        with pytest.raises(ValueError, match="git restore"):
            assets.resolve(name)
            pytest.fail(f"{way} was not found")
        repair()
    assert assets.resolve(name).path == copy


def find_damage_of_the_photographs(name, count, folder, setattr):
    """Damage what was brought so many times, and as often what is to be brought."""
    stick = folder / "stick"
    known_by(make_archives(stick, 4000, 12), setattr)
    bring(name, str(stick))
    target = assets.photographs_folder() / assets.PHOTOS[name].target
    random = np.random.default_rng(1)
    ignored = "add" if name == "cifar10" else None  # a file more, which nobody reads
    for _ in range(count):
        way, repair = damage(target, random)
        while way == ignored:
            repair()
            way, repair = damage(target, random)
        assert assets.resolve(name).edition == "rendered", f"{way} was not found"
        repair()
    assert assets.resolve(name).edition == "photos"

    archive = stick / sources.SOURCES[name].archive
    shutil.rmtree(assets.photographs_folder())
    harmless = 0
    for _ in range(count):
        way, repair = damage(archive, random)
        try:
            bring(name, str(stick))
        except ValueError:
            assert assets.resolve(name).edition == "rendered"
        else:  # a byte that says nothing, such as a date in a .zip
            assert assets.has_photographs(name), f"{way} was not found"
            shutil.rmtree(assets.photographs_folder())
            harmless += 1
        repair()
    assert harmless <= count / 2
