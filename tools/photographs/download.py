"""Get an archive from a folder or over a bad network: whole, or as far as it came."""

import functools
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3 import Retry

from tools.photographs import own
from tools.photographs.sources import Source

TIMEOUT = (5, 30)  # seconds to wait for a connection, and for the next bytes


def fetch(known: Source, source: str | None, archives: Path) -> Path:
    """Return the archive, in `archives`: copied, downloaded, or there from an earlier time.

    Raises FileNotFoundError where the source has none, ConnectionError where it can't be reached,
    and ValueError where what it gave has another hash than the known one.
    """
    archive = archives / known.archive
    if source is not None and not is_address(source):
        copy(known, Path(source).expanduser(), archive)
    elif not own.is_file(archive) or not is_right(archive, known):
        url = known.url if source is None else f"{with_scheme(source)}/{known.archive}"
        with own.aside(archive) as aside:
            os.replace(fetch_from(url, known, aside, own.partial(archive)), archive)
    return archive


def is_address(source: str) -> bool:
    """Tell an address, also one such as 192.168.1.20:8000, from a folder."""
    like_one = re.fullmatch(r"([\w.-]+|\[[\da-fA-F:]+\]):\d+(/.*)?", source)
    return "://" in source or (like_one is not None and not Path(source).is_dir())


def with_scheme(source: str) -> str:
    """Return the address with http:// before it, unless it has that or another; no / at its end."""
    return (source if "://" in source else f"http://{source}").rstrip("/")


def copy(known: Source, folder: Path, archive: Path) -> None:
    """Copy the archive from a folder; move it into place when its hash is right."""
    original = folder / known.archive
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} (an address begins with http://)")
    if not original.is_file():
        raise FileNotFoundError(f"{known.archive} is not in {folder}")
    with own.aside(archive) as aside:
        shutil.copyfile(original, aside / archive.name)
        if not is_right(aside / archive.name, known):
            raise ValueError(f"{original} is damaged or another file of that name")
        os.replace(aside / archive.name, archive)


def is_right(archive: Path, known: Source) -> bool:
    """Tell whether a file has the hash of the archive, where that is known."""
    if known.hash is None:
        return True
    algorithm, digest = known.hash.split(":")
    return pooch.file_hash(str(archive), alg=algorithm) == digest


def fetch_from(url: str, known: Source, folder: Path, part: Path) -> str:
    """Download the archive into an empty folder; return its path.

    pooch moves a download into place when its hash is right, and tries again when it is not, or
    when the connection broke: after 1 second, 2 seconds, and so on.
    """
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(
        folder,
        base_url="",
        registry={known.archive: known.hash},
        urls={known.archive: url},
        retry_if_failed=5,
    )
    downloader = functools.partial(download, part=part)
    # pooch passes an address, a path and itself; its type says otherwise
    return store.fetch(known.archive, downloader=downloader)  # pyright: ignore[reportArgumentType]


def download(url: str, output: str, store: pooch.Pooch, *, part: Path) -> None:
    """Download `url` for pooch, from where an earlier attempt or process stopped: `part`."""
    if part.is_symlink():
        part.unlink()  # the link only
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


def save(response: requests.Response, part: Path, done: int) -> None:
    """Write what comes behind the first `done` bytes of `part`; show how far it is."""
    length = response.headers.get("Content-Length")
    total = None if length is None else done + int(length)
    progress = tqdm(
        desc=Path(urlsplit(response.url).path).name, initial=done, total=total,
        unit="B", unit_scale=True, disable=None,
    )  # fmt: skip
    with part.open("ab" if done else "wb") as file, progress:
        for chunk in response.iter_content(2**16):
            file.write(chunk)
            progress.update(len(chunk))
