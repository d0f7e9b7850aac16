"""From files to pictures: uint8 tensors in memory, and the labels that go with them."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10

from helpers import assets

# What is opened. Others that Pillow knows are no photographs, and some run other programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_RATIO = 100  # of the long side to the short one: a line would be enlarged without measure


class Pictures(Dataset):
    """Pictures `(3, H, W)`, uint8, in memory, and their labels; transformed when asked for.

    per_picture: what is done to each picture on its own, such as a random crop, and leaves all of
    one size. per_batch: what is then done to all of a batch alike, such as normalization: at once,
    which is faster.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        labels: Sequence[int],
        per_picture: Callable,
        per_batch: Callable,
    ):
        """Keep the pictures as they are."""
        self.pictures, self.labels = pictures, list(labels)
        self.per_picture, self.per_batch = per_picture, per_batch

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the transformed picture and its label."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Return several items; a DataLoader asks for those of a batch in this way."""
        batch = torch.stack([self.per_picture(self.pictures[i]) for i in indices])
        return list(zip(self.per_batch(batch), (self.labels[i] for i in indices), strict=True))


def open_pictures(paths: Sequence[Path], short_side: int) -> list[Tensor]:
    """Decode pictures as `open_picture` does; raise one ValueError that names all it can't."""
    pictures, problems = [], []
    for path in paths:
        try:
            pictures.append(open_picture(path, short_side))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(paths)} pictures can't be used, remove or replace them:\n"
            + name_some(problems, separator="\n")
        )
    return pictures


def open_picture(path: str | Path, short_side: int) -> Tensor:
    """Decode a picture to `(3, H, W)`, uint8, upright RGB, its short side at most `short_side`.

    What is transparent becomes white, 16 bits become 8, and an animation its first frame. Raises
    ValueError, with the file and the reason, where there is no picture.
    """
    try:
        # Pillow warns of damaged camera data, and of large pictures before it refuses larger ones.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=FORMATS) as image,
        ):
            if max(image.size) > MAX_RATIO * min(image.size):
                width, height = image.size
                raise ValueError(f"a line of {width} × {height} pixels; cut out what it shows")
            image.draft("RGB", (short_side, short_side))  # a JPEG decodes faster when reduced
            image.load()
            with suppress(SyntaxError):  # the camera's notes are no reason to refuse a picture
                image = ImageOps.exif_transpose(image)
            image = to_rgb(image)
    except Exception as error:  # of any kind: Pillow's decoders raise what damaged bytes lead to
        raise ValueError(f"{path}: {why_not(Path(path), error)}") from error
    scale = short_side / min(image.size)
    if scale < 1:
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.BICUBIC)
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
    if path.is_symlink() and not path.exists():
        return "a link to a file that isn't there"
    if isinstance(error, OSError) and error.strerror:
        return f"it can't be read ({error.strerror})"
    if isinstance(error, Image.DecompressionBombError):
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


def read_archive(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read CIFAR-10 itself: pictures `(N, 3, 32, 32)`, uint8, and labels `(N,)`, int64."""
    archive = CIFAR10(root, train=split == "train", download=False)  # checks the hashes first
    return torch.from_numpy(archive.data).permute(0, 3, 1, 2), torch.tensor(archive.targets)


def read_sheets(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read the rendered pictures, in the shapes of `read_archive`: one sheet of tiles a class."""
    pictures, labels = [], []
    for label, name in enumerate(assets.CIFAR10_CLASSES):
        with Image.open(root / split / f"{name}.webp") as sheet:
            tiles = torch.from_numpy(np.array(sheet.convert("RGB")))
        tiles = tiles.unflatten(1, (-1, 32)).unflatten(0, (-1, 32))  # rows, 32, columns, 32, 3
        tiles = tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)
        pictures.append(tiles)
        labels.append(torch.full((len(tiles),), label))
    return torch.cat(pictures), torch.cat(labels)
