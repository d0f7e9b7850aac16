"""What the two renderers share: words of POV-Ray's scene language, and having it render scenes.

A scene is a text. Lengths are the scene's own, y points up, angles are in degrees. Colors are sRGB
in [0, 1].
"""

import argparse
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageChops, ImageStat
from tqdm import tqdm

Vector = tuple[float, ...]
Color = tuple[float, float, float]

VERSION = "#version 3.7;\nglobal_settings { assumed_gamma 1.0 max_trace_level 12 }\n"
INSTALL = "POV-Ray is missing. Install it: `apt-get install povray` or `brew install povray`."

# ---- words of the scene language -----------------------------------------------------------------

# A stretch of a limb, with a round joint at its end.
LIMB = """
#macro Limb(A, RadiusA, B, RadiusB)
  cone { A, RadiusA, B, RadiusB }
  sphere { B, RadiusB }
#end
"""


def vec(*numbers: float) -> str:
    """Write a vector."""
    return "<" + ",".join(f"{x:.4g}" for x in numbers) + ">"


def srgb(color: Color) -> str:
    """Write an opaque color."""
    return f"srgb {vec(*color)}"


def scaled(color: Color, factor: float) -> Color:
    """Make a color lighter or darker."""
    return tuple(min(1.0, max(0.0, c * factor)) for c in color)


def mixed(a: Color, b: Color, share: float) -> Color:
    """Mix two colors, with this share of the second."""
    return tuple((1 - share) * x + share * y for x, y in zip(a, b, strict=True))


def shade(r: random.Random, color: Color, spread: float = 0.2) -> Color:
    """Vary a color: its lightness by `spread`, its hue by a fifth of it."""
    factor = r.uniform(1 - spread, 1 + spread)
    return tuple(
        min(1.0, max(0.0, c * factor * r.uniform(1 - spread / 5, 1 + spread / 5))) for c in color
    )


def spread_colors(color: Color, spread: float, size: float, pattern: str = "granite") -> str:
    """Return the inside of a pigment that varies around a color."""
    dark, light = srgb(scaled(color, 1 - spread)), srgb(scaled(color, 1 + spread))
    return f"{pattern} color_map {{ [0 {dark}] [1 {light}] }} scale {size:.3g}"


def mottled(color: Color, spread: float, size: float, pattern: str = "granite") -> str:
    """Return a pigment that varies around a color."""
    return f"pigment {{ {spread_colors(color, spread, size, pattern)} }}"


def ellipsoid(center: Vector, radii: Vector, tilt: float = 0, skin: str = "") -> str:
    """Return an ellipsoid, its nose lifted by `tilt` degrees, with a texture or without."""
    place = f"scale {vec(*radii)} rotate z*{tilt:.3g} translate {vec(*center)}"
    return f"sphere {{ 0, 1 {place} {skin} }}"


def chain(points: list[Vector], radii: list[float]) -> str:
    """Return a limb through points: cones with round joints. A scene with it needs `LIMB`."""
    ends = [f"{vec(*p)}, {radius:.4g}" for p, radius in zip(points, radii, strict=False)]
    return " ".join(f"Limb({a}, {b})" for a, b in pairwise(ends))


def union(parts: list[str], rest: str = "") -> str:
    """Join parts, with a texture or a movement for all of them."""
    return "union {\n" + "\n".join(parts) + f"\n{rest} }}"


# ---- pictures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """One picture of a set: nothing else enters its scene."""

    split: str
    name: str  # of its class
    number: int  # from 1
    seed: int

    def random(self) -> random.Random:
        """Return the picture's own source of randomness."""
        return random.Random(f"{self.seed} {self.split} {self.name} {self.number}")

    def __str__(self) -> str:
        """Name the picture in a message."""
        return f"{self.split}/{self.name} {self.number}"


def trace_rays(text: str, title: str, pixels: int) -> Image.Image:
    """Have POV-Ray render a scene's description, `pixels` wide and high."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scene.pov", Path(folder) / "scene.png"
        source.write_text(text, encoding="ascii")
        size = [f"+W{pixels}", f"+H{pixels}"]
        # One thread, so that the random light samples are the same ones every time.
        command = ["povray", f"+I{source}", f"+O{target}", *size, "+WT1", "+BM2", "-D", "+FN"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0 or not target.exists():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise RuntimeError(f"POV-Ray failed on {title}:\n" + "\n".join(lines[-12:]))
        with Image.open(target) as image:
            return image.convert("RGB")


Draw = Callable[[Picture], bytes]  # renders a picture and returns it as the content of a file
Read = Callable[[Picture, Path], Image.Image]  # reads a picture from the set in a folder


def render_all(
    chosen: list[Picture], draw: Draw, processes: int
) -> Iterator[tuple[Picture, bytes]]:
    """Render pictures, several at a time (each in a process of POV-Ray's own), in their order."""
    with ThreadPoolExecutor(processes) as pool:
        tasks = [pool.submit(draw, picture) for picture in chosen]
        try:
            for picture, task in zip(chosen, tqdm(tasks, "pictures", delay=5), strict=True):
                yield picture, task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def check(chosen: list[Picture], out: Path, draw: Draw, read: Read, processes: int) -> int:
    """Render again and compare with what lies in `out`; return how many pictures are not equal."""
    stored = {picture: read(picture, out) for picture in chosen}
    other = 0
    for picture, content in render_all(chosen, draw, processes):
        with Image.open(io.BytesIO(content)) as again:
            difference = ImageChops.difference(stored[picture], again.convert("RGB"))
        if difference.getbbox():
            other += 1
            mean = sum(ImageStat.Stat(difference).mean) / 3
            tqdm.write(f"{picture}: differs by {mean:.3f} of 255 on average")
    print(f"{len(chosen) - other} of {len(chosen)} pictures are equal in every pixel")
    return other


def save_sheet(rows: list[list[Picture]], read: Read, out: Path, pixels: int, file: Path) -> None:
    """Write rows of pictures of a set side by side, each `pixels` wide and high, as one JPEG."""
    sheet = Image.new("RGB", (len(rows[0]) * pixels, len(rows) * pixels))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            image = read(picture, out).resize((pixels, pixels), Image.Resampling.LANCZOS)
            sheet.paste(image, (x * pixels, y * pixels))
    sheet.save(file, "JPEG", quality=88, optimize=True)


def run(
    title: str,
    pictures: Callable[[int], list[Picture]],
    draw: Draw,
    write: Callable[[Iterator[tuple[Picture, bytes]], Path], None],
    read: Read,
    sheet: tuple[list[list[Picture]], int],
) -> None:
    """Render a set, or check it, or show it, as the command line says.

    sheet: the rows of pictures that show the set, and how wide each is to be.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("out", type=Path, help="folder of the set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--check", action="store_true", help="render again and compare with OUT")
    parser.add_argument("--sheet", type=Path, help="write a sheet of pictures in OUT to this file")
    parser.add_argument("--every", type=int, default=1, help="check only every n-th picture")
    arguments = parser.parse_args()
    if arguments.every > 1 and not arguments.check:
        parser.error("--every is for --check: a set is rendered whole")
    if arguments.sheet:
        save_sheet(sheet[0], read, arguments.out, sheet[1], arguments.sheet)
        return
    if shutil.which("povray") is None:
        sys.exit(INSTALL)
    chosen = pictures(arguments.seed)[:: arguments.every]
    try:
        if arguments.check:
            other = check(chosen, arguments.out, draw, read, arguments.processes)
            sys.exit(1 if other else 0)
        write(render_all(chosen, draw, arguments.processes), arguments.out)
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
