"""Unpack archives from elsewhere: plain files only, inside the folder, no more than expected."""

import gzip
import io
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO


def unpack(archive: Path, folder: Path, *, max_files: int, max_bytes: int) -> None:
    """Unpack a .zip or .tar.gz into `folder`; copy any other file there.

    Raises ValueError, and stops there, at a name that leads out of the folder, at a link or other
    thing that is no plain file, at more files or bytes than expected, and at a damaged archive.
    """
    members = {".zip": zip_members, ".gz": tar_members}.get(archive.suffix, plain_file)
    num_files, room, seen = 0, max_bytes, set()
    try:
        for name, is_plain, size, content in members(archive, max_bytes):
            num_files, room = num_files + 1, room - size
            if not is_plain:
                raise ValueError(f"{archive.name} holds {name!r}, which is no plain file")
            if not is_inside(name) or name.casefold() in seen:
                raise ValueError(f"{archive.name} holds {name!r}: a name that is not safe")
            if num_files > max_files or room < 0 or size < 0:
                raise ValueError(
                    f"{archive.name} unpacks to more than {max_files} files or {max_bytes} bytes"
                )
            seen.add(name.casefold())
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as file:
                shutil.copyfileobj(content, file)
            if target.stat().st_size != size:
                raise ValueError(f"{name} in {archive.name} is not as long as it says")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise  # of the disk, not of the archive
        raise ValueError(f"{archive.name} is damaged ({error})") from error
    except (NotImplementedError, RuntimeError, OverflowError, struct.error) as error:
        raise ValueError(f"{archive.name} can't be unpacked ({error})") from error


Member = tuple[str, bool, int, BinaryIO]  # its name, whether it is a plain file, its size, itself


def zip_members(archive: Path, max_bytes: int) -> Iterator[Member]:
    """Give the members of a .zip; it checks each one's checksum when it is read."""
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError(f"compression {member.compress_type}")
            if not member.is_dir():
                kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where no Unix wrote it
                yield (
                    member.filename,
                    kind in (0, stat.S_IFREG),
                    member.file_size,
                    file.open(member),
                )


def tar_members(archive: Path, max_bytes: int) -> Iterator[Member]:
    """Give the members of a .tar.gz, reading it once; gzip checks the checksum at the end."""
    # what tar adds to the files: at most a few blocks of 512 bytes each
    with gzip.open(archive) as stream, Bounded(stream, 2 * max_bytes + 2**20) as bounded:
        with tarfile.open(fileobj=bounded, mode="r|") as file:
            for member in file:
                if not member.isdir():
                    content = file.extractfile(member) if member.isreg() else io.BytesIO()
                    yield member.name, member.isreg(), member.size, content
        while bounded.read(2**20):  # to the end, where the checksum is
            pass


def plain_file(archive: Path, max_bytes: int) -> Iterator[Member]:
    """Give a file that is no archive as if it were the only member of one."""
    yield archive.name, True, archive.stat().st_size, archive.open("rb")


class Bounded(io.RawIOBase):
    """A stream of which no more than `limit` bytes can be read."""

    def __init__(self, stream: BinaryIO, limit: int):
        """Read from `stream`."""
        self.stream, self.left = stream, limit

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raise ValueError past the limit."""
        if not 0 <= size <= self.left:
            raise ValueError("it unpacks to more than expected")
        content = self.stream.read(size)
        self.left -= len(content)
        return content


def is_inside(name: str) -> bool:
    """Tell whether a member's name stays inside the folder, on every system."""
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and not path.is_absolute()
        and ".." not in path.parts
        and not set(name) & set('\\:*?"<>|')
        and name.isprintable()
    )
