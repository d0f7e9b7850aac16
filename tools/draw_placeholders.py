"""Draw the placeholder pictures of ants, bees and objects, until rendered ones take their place.

    python tools/draw_placeholders.py helpers/embedded

They have the number, the folders and the form of the real ones, so that everything runs without
photographs; an accuracy on them means nothing. The same seed draws the same pictures.
"""

import argparse
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from helpers.assets import CIFAR10_CLASSES

PICTURES = {"train": (123, 121), "val": (70, 83), "test": (100, 100)}  # ants, bees
SHEETS = {"train": (20, 10), "test": (10, 10)}  # tiles in a row, rows
GROUNDS = ((196, 170, 130), (92, 128, 70), (120, 92, 68), (214, 160, 190), (150, 150, 145))
SKIES = ((150, 190, 225), (200, 205, 205), (232, 190, 160))
Color = tuple[int, int, int]


def shade(color: Color, r: random.Random, spread: float = 0.25) -> Color:
    """Vary a color a little."""
    factor = r.uniform(1 - spread, 1 + spread)
    return tuple(min(255, max(0, round(c * factor + r.uniform(-12, 12)))) for c in color)


def ground(size: int, r: random.Random) -> Image.Image:
    """Paint a ground of soft spots."""
    color = shade(r.choice(GROUNDS), r)
    image = Image.new("RGB", (size, size), color)
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, w = r.uniform(0, size), r.uniform(0, size), r.uniform(0.02, 0.2) * size
        draw.ellipse((x - w, y - w / 2, x + w, y + w / 2), fill=shade(color, r, 0.15))
    return image.filter(ImageFilter.GaussianBlur(size / 100))


class Turtle:
    """Draw shapes in the coordinates of a body: turned, scaled and moved onto the picture."""

    def __init__(self, image: Image.Image, r: random.Random, scale: float, turn: float):
        """Place the body somewhere near the middle."""
        self.draw, self.scale, self.turn = ImageDraw.Draw(image), scale, turn
        self.x = image.width * r.uniform(0.3, 0.7)
        self.y = image.height * r.uniform(0.3, 0.7)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a body's point on the picture."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        return self.x + self.scale * (c * x - s * y), self.y + self.scale * (s * x + c * y)

    def oval(self, x: float, y: float, a: float, b: float, color: Color, tilt: float = 0) -> None:
        """Draw an ellipse with the half axes `a` and `b`, turned by `tilt`."""
        points = []
        for k in range(32):
            u, v = a * math.cos(k * math.pi / 16), b * math.sin(k * math.pi / 16)
            c, s = math.cos(tilt), math.sin(tilt)
            points.append(self.at(x + c * u - s * v, y + s * u + c * v))
        self.draw.polygon(points, fill=color)

    def line(self, *points: tuple[float, float], color: Color, width: float) -> None:
        """Draw a line through points."""
        pixels = max(1, round(width * self.scale))
        self.draw.line([self.at(*p) for p in points], color, pixels, joint="curve")

    def shape(self, *points: tuple[float, float], color: Color) -> None:
        """Fill a polygon."""
        self.draw.polygon([self.at(*p) for p in points], fill=color)


def legs(turtle: Turtle, r: random.Random, length: float, color: Color) -> None:
    """Draw three pairs of bent legs."""
    for side in (-1, 1):
        for x, reach in ((0.25, 0.5), (0.0, 0.1), (-0.25, -0.5)):
            knee = (x + reach * 0.6, side * length * 0.6)
            foot = (x + reach * r.uniform(0.9, 1.3), side * length * r.uniform(0.9, 1.1))
            turtle.line((x, 0), knee, foot, color=color, width=0.05)


def draw_ant(turtle: Turtle, r: random.Random) -> None:
    """Draw three slim parts with a waist, and bent feelers."""
    color = shade(r.choice([(40, 28, 25), (110, 55, 28), (185, 125, 55)]), r)
    legs(turtle, r, 0.95, color)
    turtle.oval(-0.85, 0, r.uniform(0.38, 0.5), 0.28, shade(color, r))
    turtle.oval(-0.38, 0, 0.1, 0.09, color)
    turtle.oval(0.0, 0, 0.36, 0.16, color)
    turtle.oval(0.55, 0, 0.26, 0.23, shade(color, r))
    for side in (-1, 1):
        turtle.line((0.7, side * 0.1), (1.0, side * 0.4), (1.3, side * r.uniform(0.2, 0.5)),
                    color=color, width=0.04)  # fmt: skip


def draw_bee(turtle: Turtle, r: random.Random) -> None:
    """Draw a striped, stout body with wings."""
    dark, gold = (
        shade((45, 32, 25), r),
        shade(r.choice([(205, 150, 50), (120, 85, 50), (70, 52, 42)]), r),
    )
    legs(turtle, r, 0.7, dark)
    turtle.oval(-0.6, 0, 0.62, 0.38, gold)
    for k in range(r.randint(2, 4)):
        x = -0.3 - 0.26 * k
        turtle.oval(x, 0, 0.06, 0.38 * math.sqrt(max(0.1, 1 - ((x + 0.6) / 0.62) ** 2)), dark)
    turtle.oval(0.15, 0, 0.38, 0.36, shade(gold, r))
    turtle.oval(0.62, 0, 0.22, 0.27, dark)
    wings = shade(r.choice([(205, 210, 210), (150, 140, 120), (110, 95, 80)]), r)
    for side in (-1, 1):
        turtle.line((0.75, side * 0.1), (1.0, side * 0.3), color=dark, width=0.04)
        spread = side * r.uniform(2.2, 2.8)
        turtle.oval(-0.25, side * 0.4, 0.5, 0.13, wings, tilt=spread)


def insect_picture(draw_insect, r: random.Random, size: int = 160) -> Image.Image:
    """Draw one insect on a ground, among pebbles and behind blades of grass, and reduce it."""
    image = ground(2 * size, r)
    draw = ImageDraw.Draw(image)
    for _ in range(r.randint(0, 8)):  # pebbles, as dark or as golden as the insects
        x, y, w = r.uniform(0, 2 * size), r.uniform(0, 2 * size), r.uniform(4, 22)
        draw.ellipse((x - w, y - w * 0.7, x + w, y + w * 0.7), fill=shade((110, 80, 50), r, 0.7))
    turtle = Turtle(image, r, 2 * size * r.uniform(0.12, 0.28), r.uniform(0, 2 * math.pi))
    draw_insect(turtle, r)
    for _ in range(r.randint(0, 6)):  # blades of grass, before the insect
        ends = [(r.uniform(0, 2 * size), r.uniform(0, 2 * size)) for _ in range(2)]
        draw.line(ends, shade((110, 130, 70), r, 0.5), r.randint(3, 10))
    return image.filter(ImageFilter.GaussianBlur(r.uniform(0, 4))).resize((size, size))


def draw_object(name: str, image: Image.Image, r: random.Random) -> None:
    """Draw one of CIFAR-10's ten kinds of thing with a few shapes."""
    t = Turtle(image, r, image.width * r.uniform(0.25, 0.34), r.uniform(-0.25, 0.25))
    color = shade(r.choice([(170, 60, 50), (60, 80, 150), (200, 200, 205), (90, 90, 95)]), r)
    fur = shade(r.choice([(150, 105, 65), (90, 70, 55), (190, 170, 140)]), r)
    dark = (35, 32, 32)
    if name in ("automobile", "truck"):
        front = [(0.75, 0), (1.05, 0.05), (1.05, 0.3)]
        if name == "truck":
            cabin = [(-1, -0.8), (0.25, -0.8), (0.3, -0.3), (0.6, -0.3)]
        else:
            cabin = [(-1, -0.05), (-0.6, -0.1), (-0.35, -0.5), (0.25, -0.5)]
        t.shape((-1, 0.3), *cabin, *front, color=color)
        for x in (-0.6, 0.6):
            t.oval(x, 0.32, 0.2, 0.2, dark)
    elif name == "airplane":
        t.oval(0, 0, 1.1, 0.16, color)
        t.shape((0.3, 0), (-0.2, -0.8), (-0.4, -0.8), (-0.1, 0), color=shade(color, r))
        t.shape((0.3, 0), (-0.2, 0.8), (-0.4, 0.8), (-0.1, 0), color=shade(color, r))
        t.shape((-0.8, 0), (-1.1, -0.4), (-1.2, -0.4), (-1.05, 0), color=color)
    elif name == "ship":
        t.shape((-1.1, 0.05), (1.15, 0.05), (0.8, 0.45), (-0.9, 0.45), color=color)
        t.shape((-0.5, 0.05), (-0.5, -0.3), (0.3, -0.3), (0.3, 0.05), color=(225, 225, 220))
        t.line((0, -0.3), (0, -0.9), color=dark, width=0.08)
    elif name == "bird":
        t.oval(0, 0, 0.6, 0.35, fur)
        t.oval(0.6, -0.35, 0.22, 0.22, fur)
        t.shape((0.8, -0.35), (1.05, -0.28), (0.8, -0.22), color=(220, 160, 40))
        t.shape((-0.5, 0), (-1.1, -0.1), (-1.1, 0.2), color=shade(fur, r))
        t.line((0.05, 0.3), (0.05, 0.7), color=dark, width=0.05)
    elif name == "frog":
        green = shade((90, 140, 60), r)
        t.oval(0, 0.1, 0.8, 0.5, green)
        for side in (-1, 1):
            t.oval(side * 0.35, -0.4, 0.18, 0.18, green)
            t.oval(side * 0.35, -0.42, 0.08, 0.08, dark)
            t.oval(side * 0.8, 0.45, 0.35, 0.15, shade(green, r))
    else:
        draw_mammal(name, t, fur, r)


def draw_mammal(name: str, t: Turtle, fur: Color, r: random.Random) -> None:
    """Draw a cat, a deer, a dog or a horse: one body, other legs, necks and ears."""
    leg, neck, width = {"cat": (0.5, 0.1, 0.13), "dog": (0.6, 0.2, 0.14),
                        "deer": (0.9, 0.6, 0.08), "horse": (0.9, 0.6, 0.13)}[name]  # fmt: skip
    for x in (-0.55, -0.4, 0.4, 0.55):
        t.line((x, 0), (x, leg), color=shade(fur, r, 0.1), width=width)
    t.oval(0, 0, 0.72, 0.33, fur)
    t.line((0.5, -0.1), (0.75, -0.2 - neck), color=fur, width=0.28)
    head = (0.85, -0.3 - neck)
    t.oval(*head, 0.3 if name in ("horse", "deer", "dog") else 0.24, 0.2, fur, tilt=0.3)
    if name == "deer":
        t.line(
            (0.75, head[1]),
            (0.6, head[1] - 0.5),
            (0.8, head[1] - 0.6),
            color=(70, 50, 35),
            width=0.05,
        )
    for x in (0.7, 0.9):
        droop = 0.2 if name == "dog" else -0.25
        tip = (x, head[1] - 0.22 + droop)
        t.shape((x - 0.08, head[1] - 0.12), tip, (x + 0.08, head[1] - 0.1), color=shade(fur, r))
    tail = {"cat": (-1.0, -0.6), "dog": (-1.0, -0.3), "deer": (-0.85, 0.0), "horse": (-1.0, 0.5)}[
        name
    ]
    t.line((-0.65, -0.1), tail, color=fur, width=0.1)


def object_picture(name: str, r: random.Random) -> Image.Image:
    """Draw one thing before a sky and on a ground at 128 px, and reduce it to 32."""
    image = ground(128, r)
    if r.random() < 0.7:
        ImageDraw.Draw(image).rectangle(
            (0, 0, 128, r.randint(30, 80)), fill=shade(r.choice(SKIES), r)
        )
    draw_object(name, image, r)
    if r.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.resize((32, 32), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for split, counts in PICTURES.items():
        for name, draw_insect, count in zip(
            ("ants", "bees"), (draw_ant, draw_bee), counts, strict=True
        ):
            folder = out / "ants_bees" / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                picture = insect_picture(draw_insect, random.Random(f"{split} {name} {i}"))
                picture.save(folder / f"{name[:-1]}_{i + 1:04}.jpg", quality=85)
    for split, (columns, rows) in SHEETS.items():
        (out / "cifar10" / split).mkdir(parents=True, exist_ok=True)
        for name in CIFAR10_CLASSES:
            sheet = Image.new("RGB", (32 * columns, 32 * rows))
            for i in range(columns * rows):
                tile = object_picture(name, random.Random(f"{split} {name} {i}"))
                sheet.paste(tile, (32 * (i % columns), 32 * (i // columns)))
            sheet.save(out / "cifar10" / split / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
