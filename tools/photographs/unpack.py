"""Unpack archives from elsewhere: plain files only, inside the folder, no more than expected."""

import gzip
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, struct.error,
    ValueError, OverflowError, NotImplementedError, RuntimeError,
)  # fmt: skip


class Member(NamedTuple):
    """What an archive says of a thing that it holds."""

    name: str
    kind: str  #: "file", "folder" or "other"
    size: int


def unpack(archive: Path, folder: Path, *, max_files: int, max_bytes: int) -> None:
    """Unpack a .zip or .tar.gz into an empty `folder`; copy any other file there.

    Before anything is written, raises ValueError at a name that leads out of the folder or comes
    twice, at anything that is no plain file or folder, and at more files or bytes than expected;
    and, then or later, at a damaged archive.
    """
    way = {".zip": unpack_zip, ".gz": unpack_tar}.get(archive.suffix, copy)
    try:
        way(archive, folder, max_files, max_bytes)
    except DAMAGED as error:
        raise ValueError(f"{archive.name} is damaged, or not what it should be: {error}") from error


def unpack_zip(archive: Path, folder: Path, max_files: int, max_bytes: int) -> None:
    """Unpack a .zip: `zipfile` reads no more of a member than it says, and its checksum."""
    with zipfile.ZipFile(archive) as file:
        members = []
        for info in file.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError(f"it is compressed in way {info.compress_type}")
            kind, mode = ("folder", stat.S_IFDIR) if info.is_dir() else ("file", stat.S_IFREG)
            if stat.S_IFMT(info.external_attr >> 16) not in (0, mode):  # 0: no Unix wrote it
                kind = "other"
            members.append(Member(info.filename, kind, info.file_size))
        check(members, max_files, max_bytes)
        file.extractall(folder)


def unpack_tar(archive: Path, folder: Path, max_files: int, max_bytes: int) -> None:
    """Unpack a .tar.gz, after a look at its length and at the checksum at its end."""
    left = 2 * max_bytes + 2**20  # what tar adds is a few blocks of 512 bytes a file
    with gzip.open(archive) as stream:
        while content := stream.read(2**20):
            left -= len(content)
            if left < 0:
                raise ValueError(f"it unpacks to more than {max_bytes} bytes")
    with tarfile.open(archive, "r:gz") as file:
        members = []
        for info in file:
            kind = "file" if info.isreg() else "folder" if info.isdir() else "other"
            members.append(Member(info.name, kind, info.size))
        check(members, max_files, max_bytes)
        file.extractall(folder, filter="data")


def copy(archive: Path, folder: Path, max_files: int, max_bytes: int) -> None:
    """Copy a file that is no archive, as if it were the only member of one."""
    check([Member(archive.name, "file", archive.stat().st_size)], max_files, max_bytes)
    shutil.copyfile(archive, folder / archive.name)


def check(members: list[Member], max_files: int, max_bytes: int) -> None:
    """Raise ValueError unless all of these may be written."""
    files, folders = set(), set()
    for name, kind, size in members:
        if kind == "other":
            raise ValueError(f"it holds {name!r}, which is no plain file")
        if not is_inside(name) or size < 0:
            raise ValueError(f"it holds {name!r}: a name that is not safe")
        path = PurePosixPath(name.casefold())  # as systems see it that don't tell a from A
        if path in files or (kind == "file" and path in folders):
            raise ValueError(f"it holds {name!r}: a name that comes twice")
        folders.update(path.parents, [path] if kind == "folder" else [])
        files.update([path] if kind == "file" else [])
    if files & folders:
        raise ValueError(f"it holds {min(files & folders)} as a file and as a folder")
    if len(members) > max_files or sum(member.size for member in members) > max_bytes:
        raise ValueError(f"it unpacks to more than {max_files} files or {max_bytes} bytes")


def is_inside(name: str) -> bool:
    """Tell whether a member's name stays inside the folder, on every system."""
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and not path.is_absolute()
        and ".." not in path.parts
        and not set(name) & set('\\:*?"<>|')
        and name.isprintable()
        and len(name.encode()) < 256
    )
