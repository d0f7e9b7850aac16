"""Get an archive from a folder or over a bad network: whole, or as far as it came."""

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from sources import Source
from tqdm import tqdm
from urllib3 import Retry

TIMEOUT = (5, 30)  # seconds to wait for a connection, and for the next bytes


def fetch(known: Source, source: str | None, archives: Path) -> Path:
    """Return the archive, in `archives`: from an earlier time, copied, or downloaded."""
    archives.mkdir(exist_ok=True)
    archive = archives / known.archive
    if source is not None and "://" not in source:
        original = Path(source).expanduser() / known.archive
        if not original.is_file():
            raise FileNotFoundError(f"{known.archive} is not in {source}")
        with tempfile.TemporaryDirectory(dir=archives, prefix="unfinished-") as aside:
            os.replace(shutil.copyfile(original, Path(aside) / archive.name), archive)
        return archive
    url = known.url if source is None else f"{source.rstrip('/')}/{known.archive}"
    # pooch moves a download into place when its hash is right, and tries again when it is not,
    # or when the connection broke: after 1 second, 2 seconds, and so on.
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(
        archives,
        base_url="",
        registry={known.archive: known.hash},
        urls={known.archive: url},
        retry_if_failed=5,
    )
    return Path(store.fetch(known.archive, downloader=download))


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
