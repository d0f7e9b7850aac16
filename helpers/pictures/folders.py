"""What lies in a folder of pictures: the splits, the classes, and what is wrong with them."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from torchvision.datasets.folder import IMG_EXTENSIONS

from helpers.pictures.decode import warn_of

# What ImageFolder looks for, so no .gif, and what browsers and phones save.
READ = (*IMG_EXTENSIONS, ".jfif", ".avif")
SUFFIXES = (*READ, ".heic", ".heif", ".hif")  # HEIC is refused, not left out unseen
SPLITS = ("train", "val", "test")
NO_CLASS = re.compile(  # by its name: a split, or what belongs to the pictures
    r"(\w+[ _-])?(train|training|val|valid|validation|test|testing|pred)([ _-]?(set|data|images))?"
    r"|images|annotations|labels|masks",
    re.IGNORECASE,
)
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"} | {
    "__macosx", "@eadir", "lost+found"  # of Windows; of macOS, Synology and Linux
}  # fmt: skip
nfc = partial(normalize, "NFC")
PLACEHOLDER = "imagenotfound.gif"  # what Flickr gave in place of a photograph that was gone


class Listing(NamedTuple):
    """The pictures of one data set, in order."""

    root: Path  #: the folder that holds all of them
    paths: list[Path]
    labels: list[int]  #: indices into `class_names`
    splits: list[str]  #: "train", "val" or "test", of each picture; empty where nothing is split
    class_names: list[str]  #: in alphabetical order
    unused: list[Path]  #: files that are no pictures, or lie in no class


def list_splits(root: Path) -> Listing:
    """List `root/train`, `root/val` and `root/test`, if any; else the classes in `root` itself."""
    found = folders_in(root)
    if "train" not in found:
        return list_pictures(root)
    if "val" not in found:
        what = f"{root} has a folder train and no folder val, but {found}: add it"
        raise FileNotFoundError(f"{what}, or load {root / 'train'}: a share is set aside then")
    listings = {name: list_pictures(root / name) for name in SPLITS if name in found}
    whole = Listing(root, [], [], [], listings["train"].class_names, [])
    for name, listing in listings.items():
        if differing := sorted(set(whole.class_names) ^ set(listing.class_names)):
            what = f"{listing.root} has the classes {listing.class_names}"
            raise ValueError(f"{what}: {differing} are in one split only; give all the same")
        whole.paths.extend(listing.paths)
        whole.labels.extend(listing.labels)
        whole.splits.extend([name] * len(listing.paths))
        whole.unused.extend(listing.unused)
    return whole


def list_pictures(folder: Path) -> Listing:
    """List `folder/<class>/<picture>`, also in folders inside a class, in alphabetical order."""
    folders = sorted(folders_in(folder), key=nfc)
    # "é" may be one character or two, which makes no second class of it
    classes = sorted({*map(nfc, folders)})
    if len(classes) < 2:
        what = f"{folder} has too few class folders to tell apart, {classes}"
        raise ValueError(f"{what}: give a folder that holds a folder for each class")
    check_classes(folder, folders)
    listing = Listing(folder, [], [], [], classes, [])
    for name in folders:
        label = classes.index(nfc(name))
        for path in walk(folder / name):
            if path.suffix.lower() in SUFFIXES:
                listing.paths.append(path)
                listing.labels.append(label)
            elif path.name.lower() != PLACEHOLDER:
                listing.unused.append(path)
    if empty := [name for label, name in enumerate(classes) if label not in listing.labels]:
        what = f"{folder} has no picture ({' '.join(READ)}) in the classes {empty}"
        raise ValueError(f"{what}: remove what is no class, or fill it")
    listing.unused.extend(path for path in visible(folder) if not path.is_dir())
    return listing


def check_classes(folder: Path, names: list[str]) -> None:
    """Refuse folders that are all no classes by their names; warn of what may be none."""
    doubtful = [name for name in names if NO_CLASS.fullmatch(name)]
    if doubtful == names:
        what = f"{folder} holds {names}, which by their names are no classes"
        raise ValueError(f"{what}: give the folder of the classes, or name splits train and val")
    warn_of(doubtful, f"by its name no class, but taken for one in {folder}")
    inside = [[path.name for path in visible(folder / name) if path.is_dir()] for name in names]
    if all(found == inside[0] for found in inside):
        warn_of(inside[0], f"a folder in each class of {folder}: masks, or the classes themselves?")


def folders_in(folder: Path) -> list[str]:
    """Name the folders in `folder`, without the hidden ones, in alphabetical order."""
    if not folder.is_dir():
        what = f"no folder {folder.absolute()}: give one that holds a folder for each class"
        raise NotADirectoryError(what if not folder.exists() else f"{what}; unpack an archive")
    return sorted(path.name for path in visible(folder) if path.is_dir())


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder and is not hidden, in alphabetical order."""
    paths = [path for path in folder.iterdir() if not is_hidden(path.name)]
    return sorted(paths, key=lambda path: path.name)


def walk(folder: Path, seen: set[Path] | None = None) -> Iterator[Path]:
    """Give all files in `folder` and the folders inside it, each folder once; no hidden ones."""
    seen = {folder.resolve()} if seen is None else seen  # a link may lead back up
    paths = visible(folder)
    yield from (path for path in paths if not path.is_dir())
    for path in paths:
        if path.is_dir() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield from walk(path, seen)


def warn_of_unused(listing: Listing) -> None:
    """Warn of files that are not used."""
    names = [path.relative_to(listing.root).as_posix() for path in listing.unused]
    warn_of(names, "not used, as no picture by its name, or in no class folder")


def is_hidden(name: str) -> bool:
    """Tell whether a file or a folder is one that systems make for themselves."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES
