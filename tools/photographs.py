"""Bring the photographs, look after them, serve them: python -m tools.photographs --help.

All of it goes into one folder of our own; nothing beside it is written or removed. In there, an
archive is downloaded or copied and unpacked aside, and moved into place once its content has been
verified: as a whole or not at all. An interrupted download begins anew.
"""

import argparse
import os
import shutil
import socket
import sys
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import unquote

import pooch
import psutil
import requests
from torchvision.datasets import CIFAR10

from helpers import assets

UNFINISHED = ".unfinished-by-make-data-"  # what a killed process leaves, and `remove` removes
SUMS = "SHA256SUMS"  # names the files of a stick


class Source(NamedTuple):
    """The archive that holds the photographic form of an asset."""

    archive: str  #: the name of the file to bring
    url: str  #: where its authors publish it
    hash: str | None  #: of the archive; None where it is known by what it holds


SOURCES = {
    "ants_bees": Source(
        "hymenoptera_data.zip", "https://download.pytorch.org/tutorial/hymenoptera_data.zip", None
    ),
    "cifar10": Source(
        "cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        f"md5:{CIFAR10.tgz_md5}",
    ),
    "backbone": Source(
        "resnet18-f37072fd.pth",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        f"sha256:{assets.PHOTOS['backbone'].sha256}",
    ),
}
ARCHIVES = [known.archive for known in SOURCES.values()]


def bring(name: str, source: str | None = None) -> str:
    """Bring the photographic form of an asset, if it isn't there; say so.

    source: a folder or an address that holds the archive; without one, its authors' address.

    Raises ValueError where what came is not what it should be, FileExistsError where something else
    lies in its place, and another OSError where it can't be had, or the disk is full or closed.
    """
    if assets.has_photographs(name):
        return "is there already"
    known, folder = SOURCES[name], assets.photographs_folder()
    target, kept = folder / assets.PHOTOS[name].target, folder / "archives" / known.archive
    origin = str(kept) if kept.is_file() else find(known, source)
    for path in (target, folder, kept.parent):
        if path.is_symlink() or (path.exists() and (path == target or not path.is_dir())):
            raise FileExistsError(f"{path} was changed or is something else: move it away first")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as aside:
        unpacked = Path(aside, "unpacked")
        try:
            archive = fetch(origin, known, aside)
            unpack(archive, unpacked)
            if not assets.has_photographs(name, unpacked):
                raise ValueError("it does not hold what it should")
        except Exception as error:  # a damaged archive can raise nearly anything
            if isinstance(error, OSError) and not isinstance(error, shutil.ReadError):
                raise
            raise ValueError(f"{origin} is damaged or another file: {error}") from error
        if not kept.is_file():
            os.replace(archive, kept)
        if not assets.has_photographs(name):  # another process may have brought it meanwhile
            os.replace(unpacked / target.name, target)
    return f"brought to {target}"


def find(known: Source, source: str | None) -> str:
    """Return the address of an archive, or its path."""
    if source is None:
        return known.url
    if "://" in source:
        return f"{source.rstrip('/')}/{known.archive}"
    folder = Path(source).expanduser()
    if not (folder / known.archive).is_file():
        raise FileNotFoundError(f"{folder} has no {known.archive} (an address begins with http://)")
    return str(folder / known.archive)


def fetch(origin: str, known: Source, folder: str) -> Path:
    """Download or copy an archive into a folder; compare it with its hash, where that is known."""
    pooch.get_logger().setLevel("WARNING")
    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16)
    get = download if "://" in origin else lambda path, copy, _: shutil.copyfile(path, copy)
    pooch.retrieve(origin, known.hash, known.archive, folder, downloader=get)  # pyright: ignore
    return Path(folder, known.archive)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar.gz into a new folder, never outside; copy any other file there."""
    folder.mkdir()
    if archive.suffix == ".zip":
        shutil.unpack_archive(archive, folder)  # leaves out what leads outside
    elif archive.suffix == ".gz":
        shutil.unpack_archive(archive, folder, filter="data")
    else:
        shutil.copyfile(archive, folder / archive.name)


def remove() -> list[str]:
    """Remove what `bring` has brought; return the names of what is left, since it is not that."""
    folder = assets.photographs_folder()
    if folder.is_symlink() or not folder.is_dir():
        return []
    with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as aside:
        for path in set(folder.iterdir()) - {Path(aside)}:
            if is_ours(path):
                os.replace(path, Path(aside, path.name))  # as a whole: no half of it is left
    left = sorted(path.name for path in folder.iterdir())
    if not left:
        folder.rmdir()
    return left


def is_ours(path: Path) -> bool:
    """Tell whether what lies in our folder was brought, and holds no other file and no link."""
    inside = list(path.rglob("*"))
    if any(file.is_symlink() for file in [path, *inside]):
        return False
    files = [file.relative_to(path) for file in inside if file.is_file()]
    names = {file.as_posix() for file in files if file.name != ".DS_Store"}
    if path.name == "archives":
        return path.is_dir() and names <= {*ARCHIVES}
    others = {name for name in names if "/." in f"/{name}"}  # which are not verified
    if path.name == assets.PHOTOS["cifar10"].target:
        lists = [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], "")]
        others = names - {"readme.html", *(file for file, _ in lists)}
    found = [name for name, photos in assets.PHOTOS.items() if photos.target == path.name]
    is_whole = any(map(assets.has_photographs, found)) and not others
    return is_whole or path.name.startswith(UNFINISHED)


def is_served(folder: Path, name: str) -> bool:
    """Tell whether a file may be asked for: an archive, or one that the list of a stick names."""
    sums = (folder / SUMS).read_text("utf8") if (folder / SUMS).is_file() else ""
    listed = [line[66:] for line in sums.splitlines()] + [SUMS] * bool(sums)
    if name not in [*ARCHIVES, *listed]:
        return False
    path = (folder / name).resolve()
    return path.is_file() and path.is_relative_to(folder.resolve())


class Listed(SimpleHTTPRequestHandler):
    """Serves those files of `directory`, and no other."""

    def send_head(self):
        """Answer with the head of a file, or with 404."""
        if is_served(Path(self.directory), unquote(self.path[1:]) or "index.html"):
            return super().send_head()
        self.send_error(404)


def serve(folder: Path, port: int) -> None:
    """Serve the archives in a folder, or all of a stick, until interrupted."""
    names = [name for name in (*ARCHIVES, SUMS) if is_served(folder, name)]
    if not names:
        raise FileNotFoundError(f"No archive is in {folder}: bring the photographs first")
    found = [one for addresses in psutil.net_if_addrs().values() for one in addresses]
    hosts = {one.address for one in found if one.family == socket.AF_INET} - {"127.0.0.1"}
    with ThreadingHTTPServer(("", port), partial(Listed, directory=str(folder))) as server:
        for host in sorted(hosts) or [socket.gethostname()]:
            address = f"http://{host}:{server.server_port}"
            print(f"Serving {', '.join(names)}. In the room: make data FROM={address}")
        print("Of a stick: open that address. Stop with Ctrl+C.", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def bring_all(source: str | None) -> int:
    """Bring whatever can be brought; print what became of each; return the exit status."""
    brought = failed = 0
    for name, photos in assets.PHOTOS.items():
        try:
            print(f"{photos.summary}: {bring(name, source)}")
            brought += 1
        except (FileNotFoundError, requests.HTTPError) as error:
            print(f"{photos.summary}: left out, {error}")
            failed += source is None  # its authors should have it
        except (OSError, ValueError) as error:
            if isinstance(error, requests.ConnectionError) and error.request:
                error = f"no connection to {error.request.url}: look at the network, or use FROM="
            print(f"{photos.summary}: failed, {error}", file=sys.stderr)
            failed += 1
    if not brought:
        print("Nothing was brought. The rendered edition goes on working.", file=sys.stderr)
    return int(failed > 0 or not brought)


def verify() -> int:
    """Check every file of both editions anew; print what is there; return the exit status."""
    states = []
    for name in assets.RENDERED:
        try:
            assets.resolve(name, "rendered")
            states.append("whole")
        except ValueError as error:
            states.append(f"damaged: {error}")
        print(f"{name:9}  rendered  {states[-1]}")
    for name, photos in assets.PHOTOS.items():
        there = os.path.lexists(assets.photographs_folder() / photos.target)
        whole = "whole" if assets.has_photographs(name) else "changed"
        states.append(whole if there else "missing")
        print(f"{name:9}  photos    {states[-1]}")
    return int(not {"whole", "missing"}.issuperset(states))


def main() -> int | None:
    """Bring the photographs, look after them, or serve them to a room."""
    parser = argparse.ArgumentParser(prog="python -m tools.photographs", description=main.__doc__)
    parser.add_argument("command", choices=["bring", "status", "verify", "remove", "serve"])
    parser.add_argument("--from", dest="source", help="the folder or address of the archives")
    parser.add_argument("--port", type=int, default=8000, help="where to serve (%(default)s)")
    args = parser.parse_args()
    folder = assets.photographs_folder()
    if args.command == "bring":
        return bring_all(args.source)
    if args.command == "serve":
        return serve(Path(args.source or folder / "archives"), args.port)
    if args.command == "remove":
        if left := remove():
            print(f"left in {folder}, since changed or not brought: {', '.join(left)}")
        return 0
    if args.command == "status":
        assets.show_editions()
        print(f"\nphotographs, in {folder}:")
    return verify()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: what was begun is not in its place")
    except OSError as error:
        sys.exit(str(error))
