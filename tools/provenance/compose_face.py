"""Put the book's rendered pictures together: the face of the landing page, and the card that other
sites show with a link to the book.

    python -m tools.provenance.compose_face
"""

from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent.parent
INSECTS = ROOT / "helpers" / "embedded" / "ants_bees" / "train"
TOYS = ROOT / "book" / "strangers"
# ants, bees and toys by turns: the names are those of the embedded files
TILES = ["bees", "airplane", "ants", "frog", "bees", "ants", "ship", "bees",
         "automobile", "ants", "bees", "ants", "truck", "bees", "cat", "ants"]  # fmt: skip
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"


def tiles(size: int) -> list[Image.Image]:
    """Return the pictures, each `size` pixels wide and high."""
    found = []
    insects = {kind: iter(sorted((INSECTS / kind).iterdir())) for kind in ("ants", "bees")}
    for name in TILES:
        path = next(insects[name]) if name in insects else TOYS / f"{name}.jpg"
        with Image.open(path) as image:
            found.append(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    return found


def mosaic(size: int, columns: int, rows: int) -> Image.Image:
    """Return the first pictures side by side."""
    image = Image.new("RGB", (columns * size, rows * size))
    for i, tile in enumerate(tiles(size)[: columns * rows]):
        image.paste(tile, (i % columns * size, i // columns * size))
    return image


def main() -> None:
    """Write both."""
    mosaic(160, 8, 2).save(ROOT / "book" / "figures" / "face.jpg", quality=85, optimize=True)
    card = Image.new("RGB", (1200, 630), "#0b2a3f")
    card.paste(mosaic(200, 6, 2), (0, 0))
    draw = ImageDraw.Draw(card)
    draw.text((50, 440), "Transfer Learning, hands on", "white", ImageFont.truetype(FONT, 62))
    draw.text((50, 535), "A course book in PyTorch: read, run, teach", "#9fd3f5",
              ImageFont.truetype(FONT, 34))  # fmt: skip
    card.save(ROOT / "book" / "static" / "_static" / "card.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
