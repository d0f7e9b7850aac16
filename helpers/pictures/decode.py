"""From files to pictures: upright, in color, as uint8 tensors."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from helpers.runtime import progress

# What is opened. Others that Pillow knows are no photographs, and some run other programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_RATIO = 100  # of the long side to the short one: a line would be enlarged without measure
DARKEST = 32  # of the brightest pixels allowed, of 255: 12 bits in a file for 16 give 15 at most


def open_pictures(paths: Sequence[Path], short_side: int) -> list[Tensor]:
    """Decode pictures as `open_picture` does; raise one ValueError that names all it can't."""
    pictures, problems = [], []
    for path in progress(paths, "pictures"):
        try:
            pictures.append(open_picture(path, short_side))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        what = f"{len(problems)} of {len(paths)} pictures can't be used, remove or replace them:\n"
        raise ValueError(what + name_some(problems, separator="\n"))
    return pictures


def open_picture(path: str | Path, short_side: int) -> Tensor:
    """Decode a picture to `(3, H, W)`, uint8, upright RGB, its short side at most `short_side`.

    Transparent pixels become white, 16 bits become 8, and an animation becomes its first frame.
    Raises ValueError, with the file and the reason, if the file holds no picture.
    """
    try:
        # Pillow warns of damaged camera data, and of large pictures before it refuses larger ones.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if max(width, height) > MAX_RATIO * min(width, height):
                raise ValueError(f"a line of {width} × {height} pixels; cut out what it shows")
            image.draft("RGB", (short_side, short_side))  # a JPEG decodes faster when reduced
            image.load()
            with suppress(SyntaxError):  # the camera's notes are no reason to refuse a picture
                image = ImageOps.exif_transpose(image)
            image = to_rgb(image)
            if (brightest := np.asarray(image).max()) < DARKEST:
                what = f"nearly black: its brightest pixel is {brightest} of 255"
                raise ValueError(f"{what}, as where a file for 16 bits holds 12; brighten it")
    except Exception as error:  # of any kind: Pillow's decoders raise what damaged bytes lead to
        raise ValueError(f"{path}: {why_not(Path(path), error)}") from error
    scale = short_side / min(image.size)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.size]
        image = image.resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any kind of picture to 8 bits of red, green and blue, on white."""
    if image.mode.startswith("I;16"):  # Pillow would clip these, and does the same for color
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a pixel, of which none is known to be white; save it with 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")  # whose transparent pixels may hide any color
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def why_not(path: Path, error: Exception) -> str:
    """Say why a file could not be opened as a picture."""
    if isinstance(error, OSError) and error.strerror:
        return f"it can't be read ({error.strerror})"
    if isinstance(error, Image.DecompressionBombError) and Image.MAX_IMAGE_PIXELS:
        return f"more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, too many to open; make it smaller"
    if not isinstance(error, UnidentifiedImageError):
        return str(error) if isinstance(error, ValueError) else f"damaged ({error!r})"
    with path.open("rb") as file:
        start = file.read(16)
    if start[4:8] == b"ftyp":
        return "HEIC or the like, which can't be opened here; save it as JPEG"
    return f"no picture, it begins with {start}" if start else "an empty file"


def name_some(names: Sequence[str], separator: str = ", ", count: int = 10) -> str:
    """Join the first `count` names, and say how many more there are."""
    rest = [f"and {len(names) - count} more"] if len(names) > count else []
    return separator.join([*names[:count], *rest])


def warn_of(names: Sequence[str], what: str) -> None:
    """Warn of what is wrong with files, if there are any, and name some."""
    if names:
        warnings.warn(f"{what}; {len(names)} such: {name_some(names)}", stacklevel=3)
