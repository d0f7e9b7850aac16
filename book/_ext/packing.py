"""Bytes as scripts: a page that is opened from a folder may load scripts, and no other files."""

import zlib

import numpy as np

FIRST = 0x1000  # the character that stands for 0


def to_text(data: bytes) -> str:
    """Write bytes as characters of 15 bits each, which UTF-16 holds in two bytes."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    rows = np.pad(bits, (0, -len(bits) % 15)).reshape(-1, 15).astype(np.int64)
    codes = rows @ (1 << np.arange(15)[::-1]) + FIRST
    return codes.astype("<u2").tobytes().decode("utf-16-le")


def to_script(name: str, data: bytes) -> bytes:
    """Return a script that hands the page some bytes, compressed, by their name."""
    packed = zlib.compress(data, 9)
    return f'Teach.put("{name}", {len(packed)}, "{to_text(packed)}");'.encode("utf-16")


def halves(numbers: np.ndarray) -> bytes:
    """Write numbers with 16 bits: all high bytes first, since they compress better alone."""
    pairs = np.frombuffer(numbers.astype("<f2").tobytes(), np.uint8).reshape(-1, 2)
    return pairs[:, 1].tobytes() + pairs[:, 0].tobytes()
