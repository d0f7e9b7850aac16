"""Bring the photographs: download or copy, unpack aside, verify, then move into place."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock, Timeout
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3 import Retry

from helpers import assets
from helpers.archives import unpack

TIMEOUT = (5, 30)  # seconds to wait for a connection, and for the next bytes


def bring(name: str, source: str | None = None, folder: Path | None = None) -> str:
    """Bring the photographic form of an asset into `folder`, if it isn't there; say so.

    source: a folder or an address that holds the archive; without one, its authors' address.

    It is unpacked and verified aside, and moved into place as a whole or not at all. One process
    does that at a time; another one waits, and finds it done. The archive is kept, to be served to
    others. Raises ValueError where what came is not what it should be; FileNotFoundError where the
    source has no such file; ConnectionError where it can't be reached; and OSError where the disk
    is full or closed to you.
    """
    photos, folder = assets.PHOTOS[name], folder or assets.data_folder()
    if assets.is_whole(name, folder):
        return "is there already"
    folder.mkdir(parents=True, exist_ok=True)
    check_space(2 * photos.max_bytes, folder)
    with locked(folder):
        if assets.is_whole(name, folder):
            return "is there already"
        remove_leftovers(folder)
        attempts = 3
        for attempt in range(1, attempts + 1):
            archive = fetch(photos, source, folder / "archives")
            try:
                place(name, archive, folder)
                break
            except ValueError:
                archive.unlink()  # not to be taken for a good one
                if attempt == attempts:
                    raise
        partial(folder / "archives", photos.archive).unlink(missing_ok=True)
    return f"brought to {folder / photos.target}"


def fetch(photos: assets.Photos, source: str | None, archives: Path) -> Path:
    """Return the archive, in `archives`: from an earlier time, copied, or downloaded."""
    archives.mkdir(exist_ok=True)
    archive = archives / photos.archive
    if source is not None and "://" not in source:
        original = Path(source).expanduser() / photos.archive
        if not original.is_file():
            raise FileNotFoundError(f"{photos.archive} is not in {source}")
        with tempfile.TemporaryDirectory(dir=archives, prefix="unfinished-") as aside:
            os.replace(shutil.copyfile(original, Path(aside) / archive.name), archive)
        return archive
    url = photos.url if source is None else f"{source.rstrip('/')}/{photos.archive}"
    # pooch moves a download into place when its hash is right, and tries again when it is not,
    # or when the connection broke: after 1 second, 2 seconds, and so on.
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(
        archives,
        base_url="",
        registry={photos.archive: photos.hash},
        urls={photos.archive: url},
        retry_if_failed=5,
    )
    return Path(store.fetch(photos.archive, downloader=download))


def download(url: str, output: str, store: pooch.Pooch) -> None:
    """Download `url` for pooch, from where an earlier attempt or process stopped."""
    part = partial(store.abspath, urlsplit(url).path.split("/")[-1])
    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.Session() as session:
        adapter = HTTPAdapter(max_retries=Retry(total=3, backoff_factor=0.3))
        session.mount(f"{urlsplit(url).scheme}://", adapter)
        try:
            response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise ConnectionError(
                f"{urlsplit(url).netloc} can't be reached: look at the network, or take the files "
                f"from a stick or the teacher's machine with FROM="
            ) from error
        with response:
            if 400 <= response.status_code < 500 and response.status_code != 416:
                raise FileNotFoundError(f"no {url} ({response.status_code} {response.reason})")
            if response.status_code != 416:  # which says that there is no more of it
                response.raise_for_status()
                save(response, part, done if response.status_code == 206 else 0)
    os.replace(part, output)


def partial(archives: Path, name: str) -> Path:
    """Return the file that holds what has come of a download so far."""
    return archives / f"{name}.part"


def save(response: requests.Response, part: Path, done: int) -> None:
    """Write what comes behind the first `done` bytes of `part`; show how far it is."""
    length = response.headers.get("Content-Length")
    total = None if length is None else done + int(length)
    progress = tqdm(
        desc=part.stem, initial=done, total=total, unit="B", unit_scale=True, disable=None
    )
    with part.open("ab" if done else "wb") as file, progress:
        for chunk in response.iter_content(2**16):
            file.write(chunk)
            progress.update(len(chunk))


def place(name: str, archive: Path, folder: Path) -> None:
    """Unpack an archive aside, verify what it holds, and move that into place."""
    photos = assets.PHOTOS[name]
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as aside:
        aside = Path(aside)
        unpack(archive, aside, max_files=photos.max_files, max_bytes=photos.max_bytes)
        if not assets.is_whole(name, aside):
            raise ValueError(f"{photos.archive} is damaged or another file of that name")
        target = folder / photos.target
        if target.exists():  # there, but not whole
            target.rename(aside / "replaced")
        (aside / photos.target).rename(target)


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
    return [photos.archive for photos in assets.PHOTOS.values()]


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
