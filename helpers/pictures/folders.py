"""What lies in a folder of pictures: the splits, the classes, and what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets.folder import IMG_EXTENSIONS

from helpers.pictures.decode import warn_of

# What ImageFolder looks for, so no .gif, and what browsers and phones save.
READ = (*IMG_EXTENSIONS, ".jfif", ".avif")
SUFFIXES = (*READ, ".heic", ".heif", ".hif")  # HEIC is refused, not left out unseen
SPLITS = ("train", "val", "test")
MISNAMED = {"train", "training", "val", "validation"}  # in small letters
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}  # Windows, macOS, Synology
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
        if misnamed := [name for name in found if name.lower() in MISNAMED]:
            raise ValueError(
                f"{root} has no folder train, but {misnamed}, which by its name is no class: "
                f"call the splits train and val, and the third, if any, test"
            )
        return list_pictures(root)
    if "val" not in found:
        raise FileNotFoundError(
            f"{root} has a folder train and no folder val, but {found}: add it, or load "
            f"{root / 'train'}, of which a share is set aside then"
        )
    listings = {name: list_pictures(root / name) for name in SPLITS if name in found}
    whole = Listing(root, [], [], [], listings["train"].class_names, [])
    for name, listing in listings.items():
        if differing := sorted(set(whole.class_names) ^ set(listing.class_names)):
            raise ValueError(
                f"{listing.root} has the classes {listing.class_names}: give every split the same "
                f"class folders; {differing} are in one of them only"
            )
        whole.paths.extend(listing.paths)
        whole.labels.extend(listing.labels)
        whole.splits.extend([name] * len(listing.paths))
        whole.unused.extend(listing.unused)
    return whole


def list_pictures(folder: Path) -> Listing:
    """List `folder/<class>/<picture>`, also in folders inside a class, in alphabetical order."""
    classes = folders_in(folder)
    if len(classes) < 2:
        what = f"{folder} has too few class folders to tell apart, {classes}"
        raise ValueError(f"{what}: give a folder that holds a folder for each class")
    listing = Listing(folder, [], [], [], classes, [])
    for label, name in enumerate(classes):
        for path in walk(folder / name):
            if path.suffix.lower() in SUFFIXES:
                listing.paths.append(path)
                listing.labels.append(label)
            elif path.name.lower() != PLACEHOLDER:
                listing.unused.append(path)
    if empty := [name for label, name in enumerate(classes) if label not in listing.labels]:
        raise ValueError(
            f"{folder} has no picture in the classes {empty}: remove what is no class, or fill it "
            f"with pictures ({' '.join(READ)})"
        )
    listing.unused.extend(path for path in visible(folder) if not path.is_dir())
    return listing


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
