"""Files that are written as a whole or not at all, and known to be whole when they are read.

The last 32 bytes of such a file are the SHA-256 of all bytes before them.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

DIGEST_BYTES = hashlib.sha256().digest_size


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a `with` block a file to write; put it in the place of `path` when the block ends.

    It is written beside `path`, so that a crash, a kill or a full disk leaves what was there, and
    several processes may write the same file. What a kill has left beside it goes after an hour.
    """
    for leftover in path.parent.glob(f"{path.name}.*.unfinished"):
        if time.time() - leftover.stat().st_mtime > 3600:
            leftover.unlink(missing_ok=True)
    options = {"dir": path.parent, "prefix": f"{path.name}.", "suffix": ".unfinished"}
    aside = NamedTemporaryFile(mode="w+b", delete=False, **options)  # noqa: SIM115
    try:
        with aside:
            yield aside
            aside.seek(0)
            digest = hashlib.file_digest(aside, "sha256").digest()
            aside.seek(0, os.SEEK_END)
            aside.write(digest)
            aside.flush()
            os.fsync(aside.fileno())  # on the disk, not on its way
        os.replace(aside.name, path)
    except BaseException:
        Path(aside.name).unlink(missing_ok=True)
        raise


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
