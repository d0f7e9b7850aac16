"""Bring the photographs: download or copy, unpack aside, verify, then move into place.

All of it goes into one folder of our own; `own` says how that is told from a user's things.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from helpers import assets
from tools.photographs import own, sources
from tools.photographs.download import fetch
from tools.photographs.unpack import unpack


def bring(name: str, source: str | None = None, folder: Path | None = None) -> str:
    """Bring the photographic form of an asset into `folder`, if it isn't there; say so.

    source: a folder or an address that holds the archive; without one, its authors' address.

    It is unpacked and verified aside, and moved into place as a whole or not at all. One process
    does that at a time; another one waits, and finds it done. The archive is kept, to be served to
    others. Raises ValueError where what came is not what it should be; FileNotFoundError where the
    source has no such file; ConnectionError where it can't be reached; and OSError where the disk
    is full or closed to you, or where a link or a file lies in the place of a folder.
    """
    known, folder = sources.SOURCES[name], folder or assets.photographs_folder()
    if assets.has_photographs(name, folder):
        return "is there already"
    check_space(2 * known.max_bytes, folder)
    with locked(folder):
        if assets.has_photographs(name, folder):
            return "is there already"
        own.make_folder(folder / "archives")
        own.remove_leftovers(folder)
        kept = fetch_and_place(name, source, folder)
    besides = f"; what else lay there is now in {', '.join(map(str, kept))}" if kept else ""
    return f"brought to {folder / assets.PHOTOS[name].target}{besides}"


def fetch_and_place(name: str, source: str | None, folder: Path, attempts: int = 3) -> list[Path]:
    """Fetch the archive and place what it holds; begin anew where that is not what it should be."""
    archive = fetch(sources.SOURCES[name], source, folder / "archives")
    try:
        kept = place(name, archive, folder)
    except ValueError:
        archive.unlink()  # not to be taken for a good one
        if attempts == 1:
            raise
        return fetch_and_place(name, source, folder, attempts - 1)
    own.remove_file(own.partial(archive))
    return kept


def place(name: str, archive: Path, folder: Path) -> list[Path]:
    """Unpack an archive aside, verify what it holds, and move that into place.

    What lay there goes, but for files that no archive held: returns where those are now.
    """
    known, target = sources.SOURCES[name], folder / assets.PHOTOS[name].target
    with own.aside(target) as aside:
        unpack(archive, aside, max_files=known.max_files, max_bytes=known.max_bytes)
        if not assets.has_photographs(name, aside):
            raise ValueError(f"{known.archive} is damaged or another file of that name")
        names = own.note_names(aside / target.name)
        own.put(aside / target.name, target)
    replaced = own.all_beside(folder, "replaced", [target.name])
    for old in replaced:
        own.remove_files(old, names)
    return [old for old in replaced if old.exists()]


def remove(folder: Path | None = None) -> list[str]:
    """Remove all that `bring` has brought, and nothing else; return the names of what is left."""
    folder = folder or assets.photographs_folder()
    if not own.is_folder(folder):
        return []
    with locked(folder):
        own.remove_leftovers(folder)
        archives = folder / "archives"
        if own.is_folder(archives):
            for name in own.names_of_archives():
                own.remove_file(archives / name)
                own.remove_file(own.partial(archives / name))
            own.remove_if_empty(archives)
        for name in own.names_of_targets():
            remove_target(folder / name)
        with suppress(PermissionError):  # Windows removes it when it is released
            own.remove_file(folder / own.LOCK)
    own.remove_if_empty(folder)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def remove_target(target: Path) -> None:
    """Remove what was brought to its place, or lay there before and was moved aside."""
    if target.name in own.names_of_archives():  # the weights: one file
        own.remove_file(target)
    names = own.noted_names(target)
    for path in [target, *own.all_beside(target.parent, "replaced", [target.name])]:
        own.remove_files(path, names | own.noted_names(path))


def check_space(needed: int, folder: Path) -> None:
    """Raise OSError where the disk of `folder` has not that many bytes left."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(
            f"{needed / 1e6:.0f} MB are needed in {folder}, but {free / 1e6:.0f} MB are free: free "
            f"some, or let TRANSFER_LEARNING_DATA name another folder"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder for this process alone, for a `with` block; wait for others first."""
    lock = FileLock(folder / own.LOCK)
    while not lock.is_locked:
        own.make_folder(folder)
        with suppress(FileNotFoundError):  # another process has just removed the folder
            acquire(lock, folder)
    try:
        yield
    finally:
        lock.release()


def acquire(lock: FileLock, folder: Path) -> None:
    """Acquire the lock; say so where that takes longer than a moment."""
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        print(f"another process is at work in {folder}: waiting for it", file=sys.stderr)
        lock.acquire(timeout=3600)
