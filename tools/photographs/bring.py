"""Bring the photographs: download or copy, unpack aside, verify, then move into place."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sources
from archives import unpack
from download import fetch, partial
from filelock import FileLock, Timeout

from helpers import assets


def bring(name: str, source: str | None = None, folder: Path | None = None) -> str:
    """Bring the photographic form of an asset into `folder`, if it isn't there; say so.

    source: a folder or an address that holds the archive; without one, its authors' address.

    It is unpacked and verified aside, and moved into place as a whole or not at all. One process
    does that at a time; another one waits, and finds it done. The archive is kept, to be served to
    others. Raises ValueError where what came is not what it should be; FileNotFoundError where the
    source has no such file; ConnectionError where it can't be reached; and OSError where the disk
    is full or closed to you.
    """
    known, folder = sources.SOURCES[name], folder or assets.data_folder()
    if assets.has_photographs(name, folder):
        return "is there already"
    folder.mkdir(parents=True, exist_ok=True)
    check_space(2 * known.max_bytes, folder)
    with locked(folder):
        if assets.has_photographs(name, folder):
            return "is there already"
        remove_leftovers(folder)
        attempts = 3
        for attempt in range(1, attempts + 1):
            archive = fetch(known, source, folder / "archives")
            try:
                place(name, archive, folder)
                break
            except ValueError:
                archive.unlink()  # not to be taken for a good one
                if attempt == attempts:
                    raise
        partial(folder / "archives", known.archive).unlink(missing_ok=True)
    return f"brought to {folder / assets.PHOTOS[name].target}"


def place(name: str, archive: Path, folder: Path) -> None:
    """Unpack an archive aside, verify what it holds, and move that into place."""
    known, placed = sources.SOURCES[name], assets.PHOTOS[name].target
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as aside:
        aside = Path(aside)
        unpack(archive, aside, max_files=known.max_files, max_bytes=known.max_bytes)
        if not assets.has_photographs(name, aside):
            raise ValueError(f"{known.archive} is damaged or another file of that name")
        target = folder / placed
        if target.exists():  # there, but not whole
            target.rename(aside / "replaced")
        (aside / placed).rename(target)


def check_space(needed: int, folder: Path) -> None:
    """Raise OSError where `folder` has not that many bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{needed / 1e6:.0f} MB are needed in {folder}, but {free / 1e6:.0f} MB are free: free "
            f"some, or let TRANSFER_LEARNING_DATA name another folder"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder for this process alone, for a `with` block; wait for others first."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        print(f"another process is filling {folder}: waiting for it", file=sys.stderr)
        lock.acquire(timeout=3600)
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed have left aside; keep partial downloads."""
    for leftover in [*folder.glob("unfinished-*"), *(folder / "archives").glob("[!.]*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name.removesuffix(".part") not in names_of_archives():
            leftover.unlink()


def names_of_archives() -> list[str]:
    """Name the archives that hold the photographs."""
    return [known.archive for known in sources.SOURCES.values()]


def remove(folder: Path | None = None) -> None:
    """Remove all that `bring` has brought, and nothing else."""
    folder = folder or assets.data_folder()
    if not folder.is_dir():
        return
    with locked(folder):
        remove_leftovers(folder)
        paths = [folder / photos.target for photos in assets.PHOTOS.values()]
        for path in [folder / "archives", *paths]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
