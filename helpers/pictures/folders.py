"""What lies in a folder of pictures: the parts, the classes, and what is wrong with them."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets.folder import IMG_EXTENSIONS

from helpers.pictures.decode import name_some

# What ImageFolder looks for, so no .gif, and what browsers and phones save. HEIC can't be opened:
# it is listed here so that it is refused, not left out unseen.
SUFFIXES = (*IMG_EXTENSIONS, ".jfif", ".avif", ".heic", ".heif", ".hif")
PARTS = ("train", "val", "test")
MISNAMED = {"train", "training", "val", "validation"}  # in small letters
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}  # Windows, macOS, Synology
PLACEHOLDER = "imagenotfound.gif"  # what Flickr gave in place of a photograph that was gone


class Listing(NamedTuple):
    """The pictures of one data set, in order."""

    root: Path  #: the folder that holds all of them
    paths: list[Path]
    labels: list[int]  #: indices into `class_names`
    parts: list[str]  #: "train", "val" or "test", of each picture; empty where nothing is split
    class_names: list[str]  #: in alphabetical order
    unused: list[Path]  #: files that are no pictures, or lie in no class


def list_parts(root: Path) -> Listing:
    """List `root/train`, `root/val` and `root/test`, if any; else the classes in `root` itself."""
    found = folders_in(root)
    if "train" not in found:
        if misnamed := [name for name in found if name.lower() in MISNAMED]:
            raise ValueError(
                f"{root} has no folder train, but {misnamed}, which is no class, by its name: "
                f"call the parts train and val, and the third, if any, test"
            )
        return list_pictures(root)
    if "val" not in found:
        raise FileNotFoundError(
            f"{root} has a folder train and no folder val, but {found}: add it; or load "
            f"{root / 'train'}, of which a share is set aside then; or, if train is a class, give "
            f"it another name"
        )
    names = [name for name in PARTS if name in found]
    listings = [list_pictures(root / name) for name in names]
    classes = listings[0].class_names
    for name, listing in zip(names, listings, strict=True):
        if differing := sorted(set(classes) ^ set(listing.class_names)):
            raise ValueError(
                f"{root / name} has the classes {listing.class_names}, training has {classes}: "
                f"give every part the same class folders; {differing} are in one of them only"
            )
    return Listing(
        root,
        [path for listing in listings for path in listing.paths],
        [label for listing in listings for label in listing.labels],
        [name for name, listing in zip(names, listings, strict=True) for _ in listing.paths],
        classes,
        [path for listing in listings for path in listing.unused],
    )


def list_pictures(folder: Path) -> Listing:
    """List `folder/<class>/<picture>`, also in folders inside a class, in alphabetical order."""
    classes = folders_in(folder)
    if len(classes) < 2:
        raise ValueError(
            f"{folder} has too few class folders to tell apart, {classes}: put the pictures of "
            f"each class in a folder of its own, and give the folder that holds these"
        )
    files = [(path, label) for label, name in enumerate(classes) for path in walk(folder / name)]
    used = [(path, label) for path, label in files if is_picture(path)]
    unused = [path for path, _ in files if not is_picture(path)]
    filled = {label for _, label in used}
    if empty := [name for label, name in enumerate(classes) if label not in filled]:
        others = [path.name for path in unused if path.relative_to(folder).parts[0] in empty]
        raise ValueError(
            f"{folder} has no picture in the classes {empty}"
            + (f", but {name_some(others)}: " if others else ": ")
            + f"remove what is no class, or fill it with pictures ({' '.join(SUFFIXES)})"
        )
    loose = [path for path in folder.iterdir() if not path.is_dir() and not is_hidden(path.name)]
    paths, labels = [path for path, _ in used], [label for _, label in used]
    return Listing(folder, paths, labels, [], classes, unused + sorted(loose))


def folders_in(folder: Path) -> list[str]:
    """Name the folders in `folder`, without the hidden ones, in alphabetical order."""
    if folder.is_file():
        raise NotADirectoryError(f"{folder} is a file: give a folder; unpack an archive")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {folder.absolute()}: give one that holds a folder for each class"
        )
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return sorted(name for name in names if not is_hidden(name))


def walk(folder: Path) -> Iterator[Path]:
    """Give all files in `folder` and the folders inside it, each folder once; no hidden ones."""

    def refuse(error: OSError) -> None:
        raise PermissionError(f"{error.filename} can't be listed: {error.strerror}") from error

    seen = set()  # a link may lead back up
    for place, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(
            name
            for name in folders
            if not is_hidden(name) and os.path.realpath(Path(place, name)) not in seen
        )
        yield from (Path(place, name) for name in sorted(files) if not is_hidden(name))


def warn_of_unused(listing: Listing) -> None:
    """Warn of files that are not used."""
    if listing.unused:
        names = [path.relative_to(listing.root).as_posix() for path in listing.unused]
        warnings.warn(
            f"not used, as no picture by its name, or in no class folder; {len(names)} such: "
            f"{name_some(names)}",
            stacklevel=2,
        )


def made_by_systems(name: str) -> bool:
    """Tell whether a file or a folder is one that systems make for themselves."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def is_hidden(name: str) -> bool:
    """Tell whether a file or a folder is no part of a data set."""
    return made_by_systems(name) or name.lower() == PLACEHOLDER


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture."""
    return path.suffix.lower() in SUFFIXES
