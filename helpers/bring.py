"""Bring the photographs: download or copy, unpack aside, verify, then move into place."""

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

import torch

from helpers import assets


def bring(name: str, source: str | None = None) -> str:
    """Bring the photographic form of an asset into the data folder, if it isn't there; say so.

    source: a folder or an address that holds the archive; without one, its authors' address.
    It is unpacked and verified aside, and moved into place as a whole or not at all.
    """
    photos, folder = assets.PHOTOS[name], assets.data_folder()
    if assets.is_whole(name):
        return "is there already"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as aside:
        aside = Path(aside)
        if source is None or "://" in source:
            url = photos.url if source is None else f"{source.rstrip('/')}/{photos.archive}"
            archive = aside / photos.archive
            torch.hub.download_url_to_file(url, str(archive))
        else:
            archive = Path(source) / photos.archive
            if not archive.is_file():
                raise FileNotFoundError(f"{photos.archive} is not in {source}")
        unpack(archive, aside)
        if not assets.is_whole(name, aside):
            raise ValueError(f"{archive} is damaged or another file of that name: get it anew")
        target = folder / photos.target
        if target.exists():  # there, but not whole
            target.rename(aside / "replaced")
        (aside / photos.target).rename(target)
    return f"brought to {target}"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar.gz into `folder`; copy any other file there."""
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        elif archive.name.endswith(".tar.gz"):
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
        elif archive.parent != folder:
            shutil.copy(archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"{archive} can't be unpacked ({error}): get it anew") from error
