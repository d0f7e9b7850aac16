"""What the views of explorers are made of: charts, tables, pictures."""

import html
import io
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from helpers.data import Loaders
from helpers.plots import restore

SAFE = " /:;=,.()<>'!*-"  # within the quotation marks of an address
SIDE = 88  # pixels of a small picture


def percent(share: float, digits: int = 1) -> str:
    """Write a share as the book does."""
    return f"{100 * share:.{digits}f} %"


def headline(text: str) -> str:
    """Return the sentence that says what a view shows; screen readers say it when it changes."""
    return f'<p role="status"><b>{html.escape(text)}</b></p>'


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    lines = ("".join(f"<td>{html.escape(str(value))}</td>" for value in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def chart(figure: Figure, alt: str) -> str:
    """Return a figure as an `<img>` that holds its SVG, made small, and close it."""
    for ax in figure.axes:
        ax.grid(visible=False)  # many lines, of little use
    file = io.StringIO()
    # Letters instead of their outlines, and the same names inside each time.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "book"}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(figure)
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    for long, short in (
        (r"<metadata>.*?</metadata>", ""),
        (r"font-family: [^;\"]*", "font-family: sans-serif"),
        (r"(\.\d\d)\d+(?![^<>]*</text>)", r"\1"),  # a hundredth of a point, but not in a text
        (r"\s+", " "),
        (r' id="[a-z]\w*[._]\w+"', ""),  # of groups, which nothing refers to
        (r' transform="rotate\(-0 [^"]*"', ""),
        ("> <", "><"),
        ('"', "'"),  # which an address may have as it is
    ):
        svg = re.sub(long, short, svg, flags=re.DOTALL)
    return (
        f'<img class="chart" alt="{html.escape(alt)}" src="data:image/svg+xml,{quote(svg, SAFE)}">'
    )


def gallery(pictures: Iterable[str]) -> str:
    """Return pictures side by side, as many as there is room for."""
    return f'<div class="thumbnails">{"".join(pictures)}</div>'


def picture(
    image: Image.Image, text: str, side: int = SIDE, resample: int = Image.Resampling.BICUBIC
) -> str:
    """Return a picture over a line of text."""
    image, text = image.resize((side, side), resample), text.replace(" %", "\u00a0%")
    return (
        f'<figure style="width: {side}px"><img src="{webp(image)}" alt="" width="{side}" '
        f'height="{side}"><figcaption>{html.escape(text)}</figcaption></figure>'
    )


def to_image(image: Tensor, loaders: Loaders) -> Image.Image:
    """Undo the normalization of a picture `(3, H, W)`."""
    pixels = 255 * restore(image, loaders.mean, loaders.std)
    return Image.fromarray(pixels.round().astype("uint8"))


def webp(image: Image.Image) -> str:
    """Return a picture as an address that holds it."""
    file = io.BytesIO()
    image.save(file, "webp", quality=70)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def spread(count: int, most: int) -> list[int]:
    """Choose at most so many of `count` pictures, from the first to the last."""
    return torch.linspace(0, count - 1, min(count, most)).round().long().tolist()


def plane(features: Tensor) -> Tensor:
    """Return each picture's place along the two directions of most variance, `(N, 2)`."""
    centered = features - features.mean(dim=0)
    return centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:2].T
