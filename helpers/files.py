"""Files that are written as a whole or not at all, and known to be whole when they are read.

The last 32 bytes of such a file are the SHA-256 of all bytes before them.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

DIGEST_BYTES = hashlib.sha256().digest_size


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a `with` block a file to write; put it in the place of `path` when the block ends.

    It is written beside `path`, so that a crash, a kill or a full disk leaves what was there, and
    several processes may write the same file.
    """
    remove_leftovers(path.parent)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with aside.open("xb+") as file:
            yield file
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, os.SEEK_END)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not on its way
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left unfinished in `folder`: untouched for an hour, or more.

    Nothing ever reads such a file. Another process may be removing it, too.
    """
    for leftover in folder.glob(f"*.{'[0-9a-f]' * 8}.unfinished"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                leftover.unlink()


def is_whole(path: Path) -> bool:
    """Tell whether there is such a file, with every byte as it was written."""
    try:
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END) - DIGEST_BYTES
            if left < 0:
                return False
            file.seek(0)
            digest = hashlib.sha256()
            while left and (chunk := file.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
            return file.read() == digest.digest()
    except OSError:
        return False
