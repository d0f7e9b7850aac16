"""What is ours in the data folder, by its name: made, told from a user's own, and removed.

    archives/                                     what was brought, to be served to others
    archives/NAME.download-of-make-data           a download, as far as it came
    hymenoptera_data/                             a target, and in it, in a hidden file,
    hymenoptera_data/.brought-by-make-data            the names of the files that were brought
    NAME.0123456789abcdef.unfinished/             what is being made, or was, by a killed process
    NAME.0123456789abcdef.replaced                what lay where a target was to be
    .lock-of-make-data

Nothing here follows a link, and nothing removes what has another name or kind.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from helpers import assets
from tools.photographs import sources

LOCK = ".lock-of-make-data"
BROUGHT = ".brought-by-make-data"
ASIDE = re.compile(r"(?P<name>.+)\.[0-9a-f]{16}\.(?P<why>unfinished|replaced)")


def names_of_archives() -> list[str]:
    """Name the archives that hold the photographs."""
    return [known.archive for known in sources.SOURCES.values()]


def names_of_targets() -> list[str]:
    """Name the files and folders that the photographs lie in."""
    return [photos.target for photos in assets.PHOTOS.values()]


def partial(archive: Path) -> Path:
    """Return the file that holds what has come of an archive so far."""
    return archive.with_name(f"{archive.name}.download-of-make-data")


def make_folder(folder: Path) -> None:
    """Make a folder if it isn't there; raise FileExistsError where it is a link or a file."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(
            f"{folder} is a link or a file, where a folder is needed: move it away, or let "
            f"TRANSFER_LEARNING_DATA name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)


def is_folder(path: Path) -> bool:
    """Tell whether this is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def is_file(path: Path) -> bool:
    """Tell whether this is a plain file, and no link to one."""
    return path.is_file() and not path.is_symlink()


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Make a folder beside `path` to prepare it in; remove it at the end of a `with` block."""
    folder = beside(path, "unfinished")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def beside(path: Path, why: str) -> Path:
    """Return a path beside this one, with a name that nobody else has."""
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.{why}")


def all_beside(folder: Path, why: str, names: list[str]) -> list[Path]:
    """List what `beside` has named in a folder, for any of these names."""
    found = []
    for path in folder.iterdir():
        match = ASIDE.fullmatch(path.name)
        if match and match["name"] in names and match["why"] == why:
            found.append(path)
    return found


def note_names(target: Path) -> set[str]:
    """Write down, in a folder that was unpacked, which files are in it; return their names."""
    if not target.is_dir():
        return set()
    paths = [path for path in target.rglob("*") if path.is_file()]
    names = {path.relative_to(target).as_posix() for path in paths}
    (target / BROUGHT).write_text("\n".join(sorted(names)), "utf8")
    return names


def noted_names(target: Path) -> set[str]:
    """Return the names of the files that were brought in this folder."""
    note = target / BROUGHT
    if is_folder(target) and is_file(note):
        return set(note.read_text("utf8").splitlines())
    return set()


def put(new: Path, target: Path) -> None:
    """Move a file or a folder into place; what lies there is moved aside, a link removed."""
    if target.is_symlink():
        target.unlink()  # the link only
    elif is_folder(target) or (target.exists() and is_folder(new)):
        target.rename(beside(target, "replaced"))
    os.replace(new, target)


def remove_file(path: Path) -> None:
    """Remove a plain file, if it is there."""
    if is_file(path):
        path.unlink()


def remove_files(folder: Path, names: set[str]) -> None:
    """Remove these files of a folder, and then the folders that they leave empty."""
    if not is_folder(folder):
        return
    parents = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    for place, _, files in list(os.walk(folder, topdown=False)):
        for file in files:
            if (Path(place) / file).relative_to(folder).as_posix() in names:
                remove_file(Path(place) / file)
        if place != str(folder) and Path(place).relative_to(folder).as_posix() in parents:
            remove_if_empty(Path(place))
    remove_file(folder / BROUGHT)  # last: whoever is killed before it knows the names anew
    remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder in which nothing is left."""
    with suppress(OSError):
        folder.rmdir()


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left unfinished; keep partial downloads."""
    archives = folder / "archives"
    found = all_beside(folder, "unfinished", names_of_targets())
    if is_folder(archives):
        found += all_beside(archives, "unfinished", names_of_archives())
    for path in found:
        if is_folder(path):
            shutil.rmtree(path)
