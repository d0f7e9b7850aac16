"""Render the stand-in for CIFAR-10 with the ray tracer POV-Ray: its ten classes as toy models.

    python -m tools.provenance.render_cifar10 helpers/embedded/cifar10
    python -m tools.provenance.render_cifar10 helpers/embedded/cifar10 --check

Every picture has a scene of its own: a description in POV-Ray's language, drawn from the seed, the
split, the class and the picture's number; nothing else enters. Light, colors of what is painted
and most of the surroundings come from the same distributions for all classes. A scene is rendered
96 pixels wide and reduced to 32; the pictures of a class lie side by side in one sheet.

A toy is about 2 units long. Its own axes are x to the nose, y up and z to its side; it stands on
the ground y = 0. Colors are sRGB in [0, 1].
"""

import io
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tools.provenance.raytrace import (
    LIMB,
    VERSION,
    Color,
    Picture,
    Vector,
    chain,
    ellipsoid,
    mixed,
    mottled,
    run,
    scaled,
    shade,
    srgb,
    trace_rays,
    union,
    vec,
)

COUNTS = {"train": 500, "test": 100}  # of each class
COLUMNS = {"train": 25, "test": 10}  # of a sheet
PIXELS = 32  # width and height of a picture
RENDERED_PIXELS = 96  # the same, before it is reduced
VIEW_ANGLE = 30.0  # of the camera, in degrees
BLOB = 1.85  # a blob's ball of this radius has its surface at 1 (strength 1, threshold 0.5)

# Colors to choose from; each is varied again.
PAINTS = (
    (0.75, 0.12, 0.10),
    (0.12, 0.25, 0.60),
    (0.85, 0.85, 0.83),
    (0.12, 0.12, 0.13),
    (0.55, 0.57, 0.60),
    (0.85, 0.68, 0.15),
    (0.15, 0.42, 0.22),
    (0.45, 0.30, 0.18),
)
COATS = (
    (0.48, 0.31, 0.18),
    (0.64, 0.46, 0.27),
    (0.16, 0.13, 0.12),
    (0.82, 0.78, 0.72),
    (0.45, 0.43, 0.42),
    (0.68, 0.40, 0.18),
)
FROG_SKINS = ((0.30, 0.45, 0.14), (0.42, 0.33, 0.18), (0.48, 0.50, 0.22), (0.70, 0.25, 0.12))
FEATHERS = (*COATS, (0.20, 0.35, 0.62), (0.72, 0.16, 0.12), (0.80, 0.66, 0.18))
GREENS = ((0.30, 0.44, 0.14), (0.42, 0.50, 0.20), (0.20, 0.34, 0.14))
GLASS = (0.10, 0.13, 0.16)
TIRE = (0.05, 0.05, 0.05)
SKIES = ((0.45, 0.62, 0.85), (0.72, 0.80, 0.88), (0.80, 0.80, 0.80), (0.85, 0.70, 0.58))


class Toy(NamedTuple):
    """A toy model and what the camera must know of it."""

    text: str
    middle: Vector  # what to look at
    extent: float  # how large it is
    flying: bool = False
    facing: bool = False  # rarely seen from behind


# ---- parts ---------------------------------------------------------------------------------------


def painted(color: Color, shine: float = 0.3) -> str:
    """Return the texture of paint or plastic."""
    return (
        f"texture {{ pigment {{ {srgb(color)} }} finish {{ diffuse 0.8 specular {shine:.3g}"
        f" roughness 0.03 reflection {{ 0, {0.4 * shine:.3g} fresnel }} }} }}"
        " interior { ior 1.5 }"
    )


def box(low: Vector, high: Vector, skin: str = "") -> str:
    """Return a box between two corners."""
    return f"box {{ {vec(*low)}, {vec(*high)} {skin} }}"


def side_view(points: list[Vector], width: float, skin: str = "") -> str:
    """Return a solid whose outline from the side is a polygon of (x, y), `width` wide."""
    corners = ", ".join(vec(*p) for p in [*points, points[0]])
    half = width / 2
    shape = f"linear_spline {-half:.3g}, {half:.3g}, {len(points) + 1}, {corners}"
    return f"prism {{ {shape} rotate x*-90 {skin} }}"


def top_view(
    points: list[Vector], low: float, high: float, narrow: float = 1, skin: str = ""
) -> str:
    """Return a solid whose outline from above is a polygon of (x, z), `narrow` times as wide below.

    It reaches from the height `low` to the height `high`.
    """
    corners = ", ".join(vec(*p) for p in [*points, points[0]])
    shape = f"{len(points) + 1}, {corners}"
    if narrow == 1:
        return f"prism {{ linear_spline {low:.3g}, {high:.3g}, {shape} {skin} }}"
    stretch = (high - low) / (1 - narrow)
    place = f"scale <1, {stretch:.4g}, 1> translate y*{high - stretch:.4g}"
    return f"prism {{ conic_sweep linear_spline {narrow:.3g}, 1, {shape} {place} {skin} }}"


def flat_shape(points: list[Vector], skin: str = "") -> str:
    """Return a thin sheet with corners (x, y, z) in a plane."""
    corners = ", ".join(vec(*p) for p in [*points, points[0]])
    return f"polygon {{ {len(points) + 1}, {corners} {skin} }}"


def ball(center: Vector, radius: float) -> str:
    """Return a ball of a blob."""
    return f"sphere {{ {vec(*center)}, {BLOB * radius:.3g}, 1 }}"


def limb(a: Vector, b: Vector, radius: float) -> str:
    """Return a limb of a blob."""
    return f"cylinder {{ {vec(*a)}, {vec(*b)}, {BLOB * radius:.3g}, 1 }}"


def blob(parts: list[str], skin: str) -> str:
    """Melt balls and limbs into one body."""
    return "blob { threshold 0.5\n" + "\n".join(parts) + f"\n{skin} }}"


def eyes(center: Vector, apart: float, radius: float) -> list[str]:
    """Return two dark, glossy eyes on both sides of a place in the plane z = 0."""
    x, y, _ = center
    dark = painted((0.03, 0.03, 0.03), 0.8)
    return [ellipsoid((x, y, side * apart), (radius,) * 3, skin=dark) for side in (-1, 1)]


def wheels(xs: list[float], radius: float, track: float, rim: Color) -> list[str]:
    """Return pairs of wheels at these places along x."""
    parts = []
    for x in xs:
        for side in (-1, 1):
            inner, outer = vec(x, radius, side * (track - 0.12)), vec(x, radius, side * track)
            cap = vec(x, radius, side * (track + 0.012))
            parts.append(f"cylinder {{ {inner}, {outer}, {radius:.3g} {painted(TIRE, 0.1)} }}")
            parts.append(f"cylinder {{ {inner}, {cap}, {0.58 * radius:.3g} {painted(rim, 0.6)} }}")
    return parts


# ---- vehicles ------------------------------------------------------------------------------------


def airplane(r: random.Random) -> Toy:
    """Build an airliner, a fighter or a small airplane with propellers, in the air or parked."""
    paint = shade(r, r.choice([(0.85, 0.85, 0.85), (0.85, 0.85, 0.85), *PAINTS]))
    accent = shade(r, r.choice(PAINTS))
    skin, mark = painted(paint), painted(accent)
    kind = r.choice(["airliner", "airliner", "fighter", "propeller"])
    girth = {"airliner": 0.12, "fighter": 0.10, "propeller": 0.13}[kind] * r.uniform(0.85, 1.2)
    sweep = {"airliner": 0.35, "fighter": 0.6, "propeller": 0.0}[kind] * r.uniform(0.8, 1.2)
    span = {"airliner": 0.95, "fighter": 0.6, "propeller": 0.95}[kind] * r.uniform(0.9, 1.15)
    chord = {"airliner": 0.28, "fighter": 0.7, "propeller": 0.3}[kind]
    tip = 0.25 * chord if kind != "propeller" else 0.8 * chord
    lift = 0.0 if kind != "propeller" else r.choice([-0.08, 0.11])
    parts = [
        chain([(-0.8, 0.05, 0), (-0.35, 0, 0), (0.6, 0, 0), (0.85, -0.01, 0), (0.98, -0.03, 0)],
              [girth * 0.35, girth, girth, girth * 0.75, girth * 0.2]),
        ellipsoid((-0.8, 0.05, 0), (girth * 0.4,) * 3),
    ]  # fmt: skip
    for side in (-1, 1):
        wing = [(0.25, side * 0.05), (0.25 - sweep, side * span),
                (0.25 - sweep - tip, side * span), (0.25 - chord, side * 0.05)]  # fmt: skip
        tail = [(-0.6, 0), (-0.6 - 0.4 * sweep, side * 0.36),
                (-0.74 - 0.4 * sweep, side * 0.36), (-0.84, 0)]  # fmt: skip
        parts += [top_view(wing, lift - 0.02, lift + 0.02), top_view(tail, 0.04, 0.07)]
    fin = [(-0.58, 0.03), (-0.78, 0.42), (-0.93, 0.42), (-0.86, 0.03)]
    others = [side_view(fin, 0.04, mark)]
    others.append(ellipsoid((0.66, girth * 0.75, 0), (0.2, 0.06, 0.07), -8, painted(GLASS, 0.8)))
    if kind == "airliner":
        for side in (-1, 1):
            for where in r.choice([[0.34], [0.3, 0.6]]):
                x = 0.28 - sweep * where
                pod = (x, -0.1, side * span * where)
                others.append(ellipsoid(pod, (0.13, 0.06, 0.06), skin=painted(accent)))
        others.append(box((-0.45, -0.01, -girth * 1.01), (0.75, 0.03, girth * 1.01), mark))
    if kind == "propeller":
        turn = r.uniform(0, 180)
        blades = box((0.98, -0.3, -0.03), (1.0, 0.3, 0.03), painted((0.2, 0.2, 0.2)))
        others.append(f"object {{ {blades} rotate x*{turn:.3g} }}")
        if lift > 0:
            others.append(box((0.0, 0, -0.1), (0.2, lift, 0.1), skin))
    flying = r.random() < 0.7
    height = 0 if flying else 0.3
    if not flying:
        gear = [((0.65, -0.3, 0), (0.65, 0, 0)), ((-0.1, -0.3, 0.2), (-0.1, 0, 0.15)),
                ((-0.1, -0.3, -0.2), (-0.1, 0, -0.15))]  # fmt: skip
        others += [f"cylinder {{ {vec(*a)}, {vec(*b)}, 0.025 {painted(TIRE)} }}" for a, b in gear]
        others += [ellipsoid(a, (0.06, 0.06, 0.04), skin=painted(TIRE)) for a, _ in gear]
    bank = vec(r.gauss(0, 18), 0, r.gauss(5, 12)) if flying else vec(0, 0, 0)
    move = f"rotate {bank} translate y*{height}"
    return Toy(union([union(parts, skin), *others], move), (0, height, 0), 1.9, flying)


def automobile(r: random.Random) -> Toy:
    """Build a sedan, a hatchback, a van or a sports car."""
    paint = shade(r, r.choice(PAINTS))
    kind = r.choice(["sedan", "hatchback", "van", "sports"])
    roof = {"sedan": 0.58, "hatchback": 0.62, "van": 0.74, "sports": 0.46}[kind]
    hood = {"sedan": 0.37, "hatchback": 0.40, "van": 0.42, "sports": 0.32}[kind]
    roof, hood = roof * r.uniform(0.95, 1.06), hood * r.uniform(0.95, 1.05)
    rear = {"sedan": -0.55, "hatchback": -0.85, "van": -0.9, "sports": -0.65}[kind]
    front = {"sedan": 0.45, "hatchback": 0.5, "van": 0.68, "sports": 0.4}[kind]
    width = r.uniform(0.72, 0.82)
    body = [(-0.98, 0.16), (-0.98, hood - 0.02), (-0.9, hood + 0.02), (front, hood + 0.02),
            (0.9, hood - 0.06), (0.98, hood - 0.14), (0.98, 0.16)]  # fmt: skip
    slope = 0.22 if kind != "van" else 0.12
    cabin = [(rear - 0.06, hood), (rear + slope * 0.6, roof), (front - slope - 0.1, roof),
             (front + 0.02, hood)]  # fmt: skip
    pane = [(rear + 0.03, hood + 0.02), (rear + slope * 0.6 + 0.05, roof - 0.05),
            (front - slope - 0.13, roof - 0.05), (front - 0.07, hood + 0.02)]  # fmt: skip
    skin, glass = painted(paint, 0.6), painted(GLASS, 0.9)
    parts = [
        side_view(body, width, skin),
        side_view(cabin, width * 0.86, skin),
        side_view(pane, width * 0.875, glass),
    ]
    lean = [(rear - 0.07, hood + 0.04), (rear + slope * 0.6 - 0.02, roof - 0.04),
            (front - slope - 0.07, roof - 0.04), (front + 0.02, hood + 0.04)]  # fmt: skip
    parts.append(side_view(lean, width * 0.76, glass))
    middle = (rear + front) / 2
    parts.append(
        box((middle - 0.03, hood, -width * 0.44), (middle + 0.03, roof, width * 0.44), skin)
    )
    lamp, light = painted((0.6, 0.08, 0.05), 0.5), painted((0.95, 0.93, 0.8), 0.8)
    for side in (-1, 1):
        z = side * width * 0.36
        parts.append(ellipsoid((0.97, hood - 0.15, z), (0.03, 0.05, 0.08), skin=light))
        parts.append(ellipsoid((-0.97, hood - 0.1, z), (0.03, 0.05, 0.07), skin=lamp))
    bumper = painted((0.2, 0.2, 0.2), 0.2)
    parts.append(box((-1.01, 0.14, -width * 0.48), (1.01, 0.22, width * 0.48), bumper))
    rim = shade(r, (0.6, 0.6, 0.62))
    parts += wheels([-0.6, 0.62], 0.18, width / 2 + 0.01, rim)
    return Toy(union(parts), (0, roof * 0.45, 0), 1.7)


def truck(r: random.Random) -> Toy:
    """Build a truck with a box, a tank, an open bed or a ladder; flat-nosed or with a hood."""
    paint, cargo = shade(r, r.choice(PAINTS)), shade(r, r.choice([*PAINTS, (0.85, 0.85, 0.83)]))
    skin, load, glass = painted(paint, 0.5), painted(cargo), painted(GLASS, 0.9)
    kind = r.choice(["box", "box", "tank", "bed", "ladder"])
    width, top = r.uniform(0.6, 0.7), r.uniform(0.72, 0.85)
    hooded = r.random() < 0.4
    front = 0.68 if hooded else 0.98
    back = front - r.uniform(0.4, 0.5)
    parts = [
        box((-0.98, 0.2, -0.2), (0.95, 0.28, 0.2), painted((0.15, 0.15, 0.15))),
        box((back, 0.2, -width / 2), (front, top, width / 2), skin),
        box(
            (front - 0.3, top - 0.3, -width * 0.44), (front + 0.01, top - 0.07, width * 0.44), glass
        ),
        box(
            (front - 0.34, top - 0.3, -width * 0.51),
            (front - 0.08, top - 0.07, width * 0.51),
            glass,
        ),
    ]
    if hooded:
        nose = [(front, 0.2), (front, 0.52), (0.94, 0.48), (0.98, 0.2)]
        parts.append(side_view(nose, width * 0.85, skin))
    grille = painted((0.4, 0.4, 0.42), 0.7)
    parts.append(box((0.97, 0.22, -width * 0.35), (1.0, 0.4, width * 0.35), grille))
    height = top
    if kind == "box":
        height = r.uniform(0.85, 1.1)
        parts.append(box((-1.0, 0.3, -width * 0.55), (back - 0.04, height, width * 0.55), load))
        if r.random() < 0.5:
            stripe = painted(shade(r, r.choice(PAINTS)))
            low, high = (-0.8, 0.5, -width * 0.56), (back - 0.25, 0.65, width * 0.56)
            parts.append(box(low, high, stripe))
    elif kind == "tank":
        parts.append(f"cylinder {{ <-0.98, 0.55, 0>, <{back - 0.06:.3g}, 0.55, 0>, 0.27 {load} }}")
    elif kind == "bed":
        for low, high in (((-0.98, 0.28, -width / 2), (back - 0.05, 0.34, width / 2)),
                          ((-0.98, 0.3, -width / 2), (back - 0.05, 0.55, -width / 2 + 0.04)),
                          ((-0.98, 0.3, width / 2 - 0.04), (back - 0.05, 0.55, width / 2)),
                          ((-0.98, 0.3, -width / 2), (-0.94, 0.55, width / 2))):  # fmt: skip
            parts.append(box(low, high, load))
        if r.random() < 0.6:
            heap = mottled(shade(r, (0.45, 0.36, 0.26), 0.4), 0.4, 0.1)
            middle = (back - 1) / 2
            parts.append(ellipsoid((middle, 0.45, 0), (0.5, 0.25, width * 0.42), skin=heap))
    else:
        parts.append(box((-0.98, 0.28, -width / 2), (back - 0.05, 0.62, width / 2), skin))
        steel = painted((0.75, 0.75, 0.75), 0.6)
        ladder = [box((-0.8, 0, z - 0.02), (0.8, 0.05, z + 0.02)) for z in (-0.12, 0.12)]
        ladder += [
            box((-0.8 + k * 0.16, 0, -0.12), (-0.77 + k * 0.16, 0.04, 0.12)) for k in range(11)
        ]
        parts.append(
            union(ladder, f"{steel} rotate z*{r.uniform(0, 14):.3g} translate <0, 0.72, 0>")
        )
    axles = [front - 0.2, *([-0.62, -0.25] if r.random() < 0.5 else [-0.6])]
    parts += wheels(axles, 0.17, width / 2 + 0.02, shade(r, (0.55, 0.55, 0.55)))
    return Toy(union(parts), (0, height * 0.48, 0), 1.75)


def ship(r: random.Random) -> Toy:
    """Build a freighter, a liner, a warship, a motorboat or a sailboat."""
    kind = r.choice(["freighter", "liner", "warship", "motorboat", "sailboat"])
    paint = shade(r, (0.45, 0.48, 0.5) if kind == "warship" else r.choice(PAINTS))
    beam = {"freighter": 0.2, "liner": 0.19, "warship": 0.15, "motorboat": 0.3, "sailboat": 0.24}[
        kind
    ]
    deck = {"freighter": 0.22, "liner": 0.26, "warship": 0.2, "motorboat": 0.25, "sailboat": 0.2}[
        kind
    ]
    outline = [(-0.95, -beam * 0.8), (-0.6, -beam), (0.45, -beam), (0.8, -beam * 0.55), (1.0, 0),
               (0.8, beam * 0.55), (0.45, beam), (-0.6, beam), (-0.95, beam * 0.8)]  # fmt: skip
    parts = [top_view(outline, -0.05, deck, 0.75, painted(paint))]
    line = [(x * 0.94, z * 0.94) for x, z in outline]
    parts.append(top_view(line, -0.05, 0.05, 0.9, painted(scaled(paint, 0.4))))
    white, wood = painted(shade(r, (0.88, 0.88, 0.86), 0.1)), painted((0.55, 0.40, 0.25), 0.1)
    parts.append(top_view([(x * 0.93, z * 0.9) for x, z in outline], deck, deck + 0.01, skin=wood))
    height = deck
    if kind == "freighter":
        height = deck + 0.45
        parts.append(box((-0.85, deck, -beam * 0.7), (-0.55, height, beam * 0.7), white))
        parts.append(box((-0.78, height, -0.06), (-0.65, height + 0.12, 0.06), painted(paint)))
        for k in range(6):
            for level in range(r.randint(1, 3)):
                low = (-0.45 + 0.19 * k, deck + 0.1 * level, -beam * 0.8)
                high = (low[0] + 0.17, low[1] + 0.1, beam * 0.8)
                parts.append(box(low, high, painted(shade(r, r.choice(PAINTS)))))
    elif kind == "liner":
        levels = r.randint(2, 4)
        for k in range(levels):
            ends, y = (-0.8 + 0.08 * k, 0.6 - 0.12 * k), deck + 0.11 * k
            parts.append(box((ends[0], y, -beam * 0.85), (ends[1], y + 0.09, beam * 0.85), white))
            dark = painted(GLASS)
            low, high = (
                (ends[0] + 0.04, y + 0.03, -beam * 0.87),
                (ends[1] - 0.04, y + 0.06, beam * 0.87),
            )
            parts.append(box(low, high, dark))
        height = deck + 0.11 * levels
        funnel = painted(shade(r, r.choice(PAINTS)))
        for x in r.choice([[-0.2], [-0.4, 0.0], [-0.45, -0.1, 0.25]]):
            ends = f"{vec(x, height, 0)}, {vec(x - 0.06, height + 0.22, 0)}"
            parts.append(f"cylinder {{ {ends}, 0.07 {funnel} }}")
        height += 0.2
    elif kind == "warship":
        gray = painted(scaled(paint, 1.15))
        parts += [box((-0.35, deck, -0.1), (0.2, deck + 0.17, 0.1), gray),
                  box((-0.1, deck, -0.08), (0.12, deck + 0.36, 0.08), gray),
                  chain([(0, deck + 0.3, 0), (0, deck + 0.7, 0)], [0.025, 0.012]),
                  chain([(-0.3, deck + 0.1, 0), (-0.3, deck + 0.5, 0)], [0.05, 0.04])]  # fmt: skip
        for x in (0.45, -0.6):
            parts.append(ellipsoid((x, deck + 0.04, 0), (0.1, 0.08, 0.09), skin=gray))
            parts.append(chain([(x, deck + 0.07, 0), (x + 0.24, deck + 0.1, 0)], [0.02, 0.02]))
        height = deck + 0.45
    elif kind == "motorboat":
        pane = [(-0.1, deck), (-0.05, deck + 0.24), (0.15, deck + 0.22), (0.35, deck)]
        parts.append(side_view(pane, beam * 1.3, painted(GLASS, 0.9)))
        cabin = [
            (-0.6, deck),
            (-0.55, deck + 0.2),
            (-0.05, deck + 0.28),
            (0.12, deck + 0.25),
            (0.1, deck),
        ]
        parts.append(side_view(cabin, beam * 1.1, white))
        height = deck + 0.2
    else:
        height = r.uniform(1.3, 1.7)
        pole = painted((0.6, 0.5, 0.35))
        parts.append(union([chain([(0.12, deck, 0), (0.12, height, 0)], [0.02, 0.015])], pole))
        cloth = shade(r, r.choice([(0.9, 0.88, 0.82), (0.9, 0.88, 0.82), *PAINTS]), 0.1)
        canvas = f"texture {{ pigment {{ {srgb(cloth)} }} finish {{ diffuse 0.85 ambient 0.1 }} }}"
        swing = r.uniform(-0.25, 0.25)
        main = [(0.09, deck + 0.12, 0), (0.09, height, 0), (-0.75, deck + 0.12, 0)]
        jib = [(0.16, height * 0.93, 0), (0.93, deck + 0.05, 0), (0.2, deck + 0.15, 0)]
        parts.append(flat_shape(main, f"{canvas} rotate y*{swing * 60:.3g}"))
        parts.append(flat_shape(jib, canvas))
    sway = f"rotate <{r.gauss(0, 3):.3g}, 0, {r.gauss(0, 2):.3g}>"
    extent = 1.6 if kind == "sailboat" else 1.7
    return Toy(union(parts, sway), (0, height * 0.42, 0), extent)


# ---- animals -------------------------------------------------------------------------------------


def coat(r: random.Random, colors: tuple[Color, ...] = COATS) -> tuple[str, Color]:
    """Choose a plain, a spotted or a striped coat; return its texture and its main color."""
    color = shade(r, r.choice(colors))
    other = r.choice([scaled(color, 0.45), scaled(color, 1.5), (0.85, 0.82, 0.78)])
    kind = r.choice(["plain", "plain", "spots", "stripes"])
    first, second = srgb(color), srgb(other)
    if kind == "plain":
        pigment = mottled(color, 0.2, 0.15)
    elif kind == "spots":
        edge = r.uniform(0.5, 0.65)
        size = r.uniform(0.12, 0.35)
        pigment = (
            f"pigment {{ bozo color_map {{ [{edge:.3g} {first}] [{edge + 0.05:.3g} {second}] }}"
            f" scale {size:.3g} translate {r.uniform(0, 9):.3g} }}"
        )
    else:
        pigment = (
            f"pigment {{ gradient x color_map {{ [0.5 {first}] [0.7 {second}] [0.9 {first}] }}"
            f" turbulence 0.25 scale {r.uniform(0.1, 0.2):.3g} }}"
        )
    finish = "finish { diffuse 0.8 specular 0.05 roughness 0.1 }"
    return f"texture {{ {pigment} normal {{ granite 0.3 scale 0.08 }} {finish} }}", color


class Build(NamedTuple):
    """The measures of an animal on four legs."""

    length: float  # from hip to shoulder
    legs: float
    girth: float
    neck: float
    rise: float  # of the neck, in degrees
    head: float
    snout: float
    tail: float
    curl: float  # of the tail, upward positive, in degrees


class Frame(NamedTuple):
    """Where an animal's body, neck and head lie."""

    hip: Vector
    shoulder: Vector
    head: Vector
    mouth: Vector


def four_legs(r: random.Random, build: Build, pose: str) -> tuple[list[str], Frame]:
    """Return the blob of a body that stands, sits or lies, and its frame."""
    length, legs, girth = build.length, build.legs, build.girth
    low = girth * 0.9
    hip = (-length / 2, low if pose != "standing" else legs, 0.0)
    shoulder = (length / 2, low if pose == "lying" else legs, 0.0)
    if pose == "sitting":
        shoulder = (length * 0.12, legs + girth, 0.0)
        hip = (-length * 0.35, girth, 0.0)
    parts = [limb(hip, shoulder, girth), ball(hip, girth * 1.08), ball(shoulder, girth * 1.05)]
    thin = girth * r.uniform(0.3, 0.36)
    for side in (-1, 1):
        z = side * girth * 0.62
        for x, y, back in ((*hip[:2], True), (*shoulder[:2], False)):
            step = r.uniform(-0.16, 0.16) * legs
            if pose == "standing" or (pose == "sitting" and not back):
                bend = (-0.1 if back else 0.04) * legs
                knee, foot = (x + bend, y * 0.5, z), (x + step, 0.03, z)
                parts += [limb((x, y, z * 0.9), knee, thin * 1.25), limb(knee, foot, thin * 0.9),
                          limb(foot, (foot[0] + 0.08, 0.03, z), thin)]  # fmt: skip
            else:
                toe = (x + 0.3, 0.05, z * 1.25)
                parts += [ball((x, y, z), girth * 0.7), limb((x, 0.08, z * 1.2), toe, thin)]
    rise = math.radians(build.rise + r.uniform(-12, 12) - (35 if r.random() < 0.12 else 0))
    aside = r.gauss(0, 0.25)
    head = (
        shoulder[0] + build.neck * math.cos(rise),
        max(shoulder[1] + build.neck * math.sin(rise) + girth * 0.4, build.head),
        build.neck * aside,
    )
    parts += [limb((shoulder[0], shoulder[1] + girth * 0.3, 0), head, build.head * 0.62),
              ball(head, build.head)]  # fmt: skip
    droop = r.uniform(0.15, 0.5)
    mouth = (head[0] + build.snout, head[1] - droop * build.snout, head[2] * 1.3)
    parts.append(limb(head, mouth, build.head * 0.5))
    return parts, Frame(hip, shoulder, head, mouth)


def tail(r: random.Random, build: Build, frame: Frame, thick: float) -> str:
    """Return a tail as a bent limb, without a texture."""
    turn = math.radians(180 - build.curl + r.uniform(-25, 25))
    x, y, _ = frame.hip
    x -= build.girth * 0.9
    points, step = [(x, y + build.girth * 0.4, 0.0)], build.tail / 4
    for k in range(4):
        angle = turn + 0.25 * k * (1 if build.curl > 0 else -1) * -1
        last = points[-1]
        lower = max(0.04, last[1] + step * math.sin(angle))
        points.append((last[0] + step * math.cos(angle), lower, last[2] + r.gauss(0, 0.03)))
    return chain(points, [thick * (1 - 0.12 * k) for k in range(5)])


def animal(frame: Frame, build: Build, parts: list[str], r: random.Random) -> Toy:
    """Finish an animal: look at all of it, or only at its head."""
    top = frame.head[1] + build.head
    if r.random() < 0.25:
        return Toy(union(parts), frame.head, build.head * r.uniform(5, 8), facing=True)
    middle = ((frame.head[0] + frame.hip[0]) / 2, top * 0.5, 0)
    extent = max(top, frame.mouth[0] - frame.hip[0] + build.girth)
    return Toy(union(parts), middle, extent, facing=True)


def nose(frame: Frame, build: Build) -> str:
    """Return a dark nose."""
    size = build.head * 0.2
    x, y, z = frame.mouth
    return ellipsoid((x + build.head * 0.3, y, z), (size,) * 3, skin=painted((0.08, 0.06, 0.06)))


def cat(r: random.Random) -> Toy:
    """Build a cat: a round head, a short snout, pointed ears, a long tail."""
    skin, color = coat(r)
    build = Build(
        length=r.uniform(0.7, 0.9),
        legs=r.uniform(0.36, 0.45),
        girth=r.uniform(0.13, 0.18),
        neck=r.uniform(0.2, 0.28),
        rise=50,
        head=r.uniform(0.17, 0.21),
        snout=0.1,
        tail=r.uniform(0.6, 0.9),
        curl=40,
    )
    body, frame = four_legs(r, build, r.choice(["standing", "sitting", "lying"]))
    size, (x, y, z) = build.head, frame.head
    ears = [f"cone {{ {vec(x, y + size * 0.5, z + side * size * 0.6)}, {size * 0.42:.3g},"
            f" {vec(x - 0.02, y + size * 1.55, z + side * size * 0.8)}, 0.01 }}"
            for side in (-1, 1)]  # fmt: skip
    parts = [blob(body, skin), union([*ears, tail(r, build, frame, 0.05)], skin)]
    place = (x + size * 0.85, y + size * 0.25, 0)
    iris = painted(shade(r, (0.55, 0.55, 0.15)), 0.8)
    for side in (-1, 1):
        parts.append(ellipsoid((*place[:2], z + side * size * 0.42), (size * 0.2,) * 3, skin=iris))
    if r.random() < 0.4:
        chest = (frame.shoulder[0] + 0.08, frame.shoulder[1] - 0.03, 0)
        pale = mottled(mixed(color, (0.9, 0.88, 0.85), 0.8), 0.1, 0.1)
        parts.append(ellipsoid(chest, (build.girth,) * 3, skin=pale))
    return animal(frame, build, [*parts, nose(frame, build)], r)


def dog(r: random.Random) -> Toy:
    """Build a dog: a long snout, hanging or pointed ears, a tail carried high."""
    skin, color = coat(r)
    build = Build(
        length=r.uniform(0.75, 1.05),
        legs=r.uniform(0.32, 0.6),
        girth=r.uniform(0.14, 0.2),
        neck=r.uniform(0.26, 0.38),
        rise=52,
        head=r.uniform(0.15, 0.19),
        snout=r.uniform(0.22, 0.34),
        tail=r.uniform(0.25, 0.6),
        curl=r.uniform(20, 70),
    )
    body, frame = four_legs(r, build, r.choice(["standing", "standing", "sitting", "lying"]))
    size, (x, y, z) = build.head, frame.head
    ears = []
    hanging = r.random() < 0.65
    for side in (-1, 1):
        if hanging:
            place = (x - 0.02, y - size * 0.1, z + side * size * 0.95)
            ears.append(ellipsoid(place, (size * 0.4, size * 0.75, size * 0.16)))
        else:
            foot, tip = (
                (x, y + size * 0.5, z + side * size * 0.55),
                (x, y + size * 1.6, z + side * size * 0.6),
            )
            ears.append(f"cone {{ {vec(*foot)}, {size * 0.36:.3g}, {vec(*tip)}, 0.02 }}")
    flaps = mottled(scaled(color, r.uniform(0.55, 1.0)), 0.2, 0.1)
    parts = [blob(body, skin), union(ears, flaps), union([tail(r, build, frame, 0.06)], skin)]
    parts += eyes((x + size * 0.85, y + size * 0.3, 0), size * 0.42, size * 0.16)
    if r.random() < 0.3:
        collar = painted(shade(r, r.choice(PAINTS)))
        middle = [(a + b) / 2 for a, b in zip(frame.shoulder, frame.head, strict=True)]
        parts.append(
            f"torus {{ {size * 0.95:.3g}, 0.035 rotate z*-40 translate {vec(*middle)} {collar} }}"
        )
    return animal(frame, build, [*parts, nose(frame, build)], r)


def antlers(r: random.Random, head: Vector, size: float) -> str:
    """Return two branched antlers."""
    x, y, z = head
    parts = []
    reach = r.uniform(0.35, 0.6)
    for side in (-1, 1):
        at = [
            (
                x - 0.02 - 0.22 * reach * math.sin(3 * t),
                y + size * 0.8 + reach * t,
                z + side * (size * 0.4 + 0.5 * reach * math.sqrt(t)),
            )
            for t in (0, 0.25, 0.5, 0.75, 1)
        ]
        parts.append(chain(at, [0.035, 0.032, 0.028, 0.022, 0.012]))
        for k in (1, 2, 3):
            root = at[k]
            tip = (root[0] + 0.18, root[1] + 0.14, root[2] - side * 0.02)
            parts.append(chain([root, tip], [0.025, 0.01]))
    return union(parts, mottled((0.55, 0.45, 0.32), 0.2, 0.1))


def deer(r: random.Random) -> Toy:
    """Build a deer: slender, with a raised neck, ears to the side, perhaps antlers."""
    color = shade(r, r.choice([(0.52, 0.34, 0.19), (0.62, 0.42, 0.24), (0.42, 0.32, 0.23)]))
    spots = ""
    if r.random() < 0.3:
        pale = srgb(mixed(color, (0.9, 0.85, 0.75), 0.7))
        spots = f"pigment {{ bozo color_map {{ [0.7 {srgb(color)}] [0.72 {pale}] }} scale 0.07 }}"
    skin = f"texture {{ {spots or mottled(color, 0.2, 0.2)} finish {{ diffuse 0.8 }} }}"
    build = Build(
        length=r.uniform(0.8, 0.95),
        legs=r.uniform(0.7, 0.85),
        girth=r.uniform(0.15, 0.18),
        neck=r.uniform(0.45, 0.6),
        rise=r.uniform(50, 72),
        head=0.115,
        snout=r.uniform(0.2, 0.26),
        tail=0.15,
        curl=-50,
    )
    body, frame = four_legs(r, build, "lying" if r.random() < 0.12 else "standing")
    size, (x, y, z) = build.head, frame.head
    ears = [ellipsoid((x - 0.03, y + size * 0.8, z + side * size * 1.3),
                      (0.04, size * 0.5, size * 0.85)) for side in (-1, 1)]  # fmt: skip
    parts = [blob(body, skin), union(ears, skin)]
    rump = (frame.hip[0] - build.girth * 0.85, frame.hip[1] + 0.02, 0)
    parts.append(ellipsoid(rump, (0.09, 0.14, 0.11), skin=mottled((0.85, 0.8, 0.72), 0.1, 0.1)))
    parts += eyes((x + size * 0.5, y + size * 0.3, 0), size * 0.75, size * 0.2)
    if r.random() < 0.5:
        parts.append(antlers(r, frame.head, size))
    return animal(frame, build, [*parts, nose(frame, build)], r)


def horse(r: random.Random) -> Toy:
    """Build a horse: large, with a strong neck, a long head, a mane and a long tail."""
    skin, color = coat(r)
    build = Build(
        length=r.uniform(0.95, 1.1),
        legs=r.uniform(0.75, 0.88),
        girth=r.uniform(0.2, 0.24),
        neck=r.uniform(0.5, 0.65),
        rise=r.uniform(38, 58),
        head=r.uniform(0.13, 0.15),
        snout=r.uniform(0.32, 0.4),
        tail=r.uniform(0.55, 0.75),
        curl=-65,
    )
    body, frame = four_legs(r, build, "standing")
    size, (x, y, z) = build.head, frame.head
    ears = [f"cone {{ {vec(x - 0.02, y + size * 0.6, z + side * 0.07)}, 0.05,"
            f" {vec(x, y + size * 1.5, z + side * 0.09)}, 0.01 }}" for side in (-1, 1)]  # fmt: skip
    hair = mottled(
        r.choice([scaled(color, 0.35), (0.08, 0.07, 0.07), scaled(color, 1.3)]), 0.3, 0.08
    )
    start = (frame.shoulder[0] - 0.08, frame.shoulder[1] + build.girth * 1.05, 0)
    crest = [tuple(a + (b - a) * t for a, b in zip(start, (x - 0.08, y + size, z), strict=True))
             for t in (0, 0.33, 0.67, 1)]  # fmt: skip
    mane = chain(crest, [0.06, 0.08, 0.08, 0.06])
    plume = tail(r, build, frame, 0.085)
    parts = [blob(body, skin), union(ears, skin), union([mane, plume], hair)]
    parts += eyes((x + size * 0.6, y + size * 0.3, 0), size * 0.7, size * 0.18)
    if r.random() < 0.25:
        saddle = painted(shade(r, r.choice(PAINTS)))
        place = (0, frame.hip[1] + build.girth * 0.7, 0)
        parts.append(ellipsoid(place, (0.22, build.girth * 0.55, build.girth * 0.95), skin=saddle))
    return animal(frame, build, parts, r)


def frog(r: random.Random) -> Toy:
    """Build a frog: flat and wide, with eyes on top and folded hind legs."""
    skin, color = coat(r, FROG_SKINS)
    width, lift = r.uniform(0.34, 0.44), r.uniform(0.0, 0.15)
    parts = [limb((-0.45, 0.2, 0), (0.2, 0.32 + lift, 0), 0.26), ball((0, 0.26, 0), width),
             limb((0.4, 0.42 + lift, -0.15), (0.4, 0.42 + lift, 0.15), 0.2),
             ball((0.6, 0.38 + lift, 0), 0.16)]  # fmt: skip
    for side in (-1, 1):
        hip, knee = (-0.45, 0.2, side * 0.25), (0.1, 0.36, side * r.uniform(0.5, 0.62))
        heel, toe = (-0.5, 0.06, side * 0.6), (0.05, 0.04, side * 0.75)
        parts += [limb(hip, knee, 0.13), limb(knee, heel, 0.09), limb(heel, toe, 0.06)]
        shoulder, wrist = (0.25, 0.25, side * 0.3), (0.4, 0.05, side * 0.42)
        parts += [limb(shoulder, wrist, 0.08), limb(wrist, (0.55, 0.03, side * 0.48), 0.06)]
        parts.append(ball((0.42, 0.62 + lift, side * 0.2), 0.12))
    others = eyes((0.48, 0.66 + lift, 0), 0.24, 0.095)
    belly = mottled(mixed(color, (0.85, 0.82, 0.6), 0.65), 0.15, 0.1)
    others.append(ellipsoid((0.38, 0.22 + lift, 0), (0.3, 0.16, 0.28), 20, belly))
    shine = skin.replace("specular 0.05", f"specular {r.uniform(0.1, 0.6):.3g}")
    return Toy(
        union([blob(parts, shine), *others]), (0.05, 0.3, 0), r.uniform(1.3, 1.7), facing=True
    )


def bird(r: random.Random) -> Toy:
    """Build a bird that sits, stands on long legs or flies."""
    skin, color = coat(r, FEATHERS)
    kind = r.choice(["sitting", "sitting", "wading", "flying"])
    girth = r.uniform(0.2, 0.3)
    stand = {"sitting": 0.2, "wading": r.uniform(0.5, 0.75), "flying": 0.0}[kind]
    neck = {"sitting": r.uniform(0.16, 0.26), "wading": r.uniform(0.4, 0.75), "flying": 0.15}[kind]
    tilt = 0 if kind == "flying" else r.uniform(5, 40)
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    y = stand + girth
    chest, rump = (0.28 * c, y + 0.28 * s, 0), (-0.35 * c, y - 0.2 * s, 0)
    head = (chest[0] + (0.7 if kind == "flying" else 0.35) * neck + 0.1, chest[1] + neck + 0.02, 0)
    size = r.uniform(0.12, 0.17)
    body = [
        limb(chest, rump, girth * 0.85),
        ball(chest, girth),
        limb(chest, head, size * 0.6),
        ball(head, size),
    ]
    parts = [blob(body, skin)]
    beak = r.uniform(0.15, 0.4) * (1.3 if kind == "wading" else 0.8)
    horn = painted(shade(r, r.choice([(0.8, 0.55, 0.15), (0.15, 0.14, 0.13)])))
    parts.append(f"cone {{ {vec(head[0] + size * 0.7, head[1], 0)}, {size * 0.42:.3g},"
                 f" {vec(head[0] + size + beak, head[1] - 0.04, 0)}, 0.01 {horn} }}")  # fmt: skip
    parts += eyes((head[0] + size * 0.5, head[1] + size * 0.25, 0), size * 0.8, size * 0.2)
    if r.random() < 0.4:
        breast = mottled(shade(r, r.choice(FEATHERS)), 0.2, 0.1)
        place = (chest[0] + girth * 0.3, chest[1] - girth * 0.3, 0)
        parts.append(ellipsoid(place, (girth * 0.8,) * 3, skin=breast))
    plumes = r.choice([scaled(color, r.uniform(0.5, 1.1)), shade(r, r.choice(FEATHERS))])
    plumes = mottled(plumes, 0.3, 0.12)
    end = (rump[0] - 0.3 * c, rump[1] - 0.3 * s, 0)
    parts.append(ellipsoid(end, (r.uniform(0.25, 0.42), 0.04, 0.12), tilt, plumes))
    for side in (-1, 1):
        if kind == "flying":
            flap = r.uniform(-25, 45)
            wing = [(0.3, 0), (0.35, side * 0.45), (0.05, side * 1.05), (-0.1, side * 0.95),
                    (-0.3, side * 0.3), (-0.3, 0)]  # fmt: skip
            move = f"rotate x*{-side * flap:.3g} translate y*{y:.3g} {plumes}"
            parts.append(top_view(wing, -0.02, 0.02, skin=move))
        else:
            place = (-0.12 * c, y + 0.02, side * girth * 0.85)
            parts.append(ellipsoid(place, (0.42, girth * 0.6, 0.07), tilt, plumes))
            legs = [(0.0, y - girth * 0.6, side * 0.09), (0.03, stand * 0.5, side * 0.09),
                    (0.0, 0.02, side * 0.09), (0.14, 0.02, side * 0.11)]  # fmt: skip
            parts.append(union([chain(legs, [0.028] * 4)], horn))
    flying = kind == "flying"
    move = f"rotate <{r.gauss(0, 15):.3g}, 0, {r.gauss(8, 12):.3g}>" if flying else ""
    top = head[1] + size
    return Toy(union(parts, move), (0, top * 0.5, 0), 1.7 if flying else max(1.25, top), flying)


BUILDERS: dict[str, Callable[[random.Random], Toy]] = {
    "airplane": airplane,
    "automobile": automobile,
    "bird": bird,
    "cat": cat,
    "deer": deer,
    "dog": dog,
    "frog": frog,
    "horse": horse,
    "ship": ship,
    "truck": truck,
}

# ---- surroundings --------------------------------------------------------------------------------


def behind(r: random.Random, near: float, far: float) -> tuple[float, float]:
    """Choose a place on the ground that isn't in the camera's way, before `ViewTurn`."""
    angle, distance = r.uniform(-0.12, 1.12) * math.pi, r.uniform(near, far)
    return distance * math.cos(angle), distance * math.sin(angle)


def trees(r: random.Random) -> str:
    """Return trees and bushes in the distance."""
    parts = []
    tone = r.choice(GREENS)
    for _ in range(r.randint(5, 14)):
        (x, z), size = behind(r, 4, 9), r.uniform(0.5, 1.6)
        leaves = mottled(shade(r, tone, 0.3), 0.5, 0.3, "bozo")
        crown = (size * r.uniform(0.6, 1), size, size * r.uniform(0.6, 1))
        parts.append(ellipsoid((x, size * r.uniform(0.6, 1.4), z), crown, skin=leaves))
        trunk = f"{vec(x, 0, z)}, {vec(x, size, z)}, {0.1 * size:.3g}"
        parts.append(f"cylinder {{ {trunk} {mottled((0.3, 0.22, 0.15), 0.3, 0.1)} }}")
    return union(parts, "rotate y*ViewTurn")


def blocks(r: random.Random) -> str:
    """Return painted blocks, balls and posts, or houses: whatever stands about."""
    parts = []
    for _ in range(r.randint(2, 7)):
        x, z = behind(r, 2.2, 7)
        size, height = r.uniform(0.25, 0.9), r.uniform(0.3, 2.2)
        skin = painted(shade(r, r.choice([*PAINTS, *COATS]), 0.3), 0.1)
        if r.random() < 0.7:
            turn = f"rotate y*{r.uniform(0, 90):.3g} translate {vec(x, 0, z)} {skin}"
            parts.append(box((-size, 0, -size), (size, height, size), turn))
        else:
            parts.append(ellipsoid((x, size * 0.6, z), (size * 0.6,) * 3, skin=skin))
    return union(parts, "rotate y*ViewTurn")


def meadow(r: random.Random) -> str:
    """Return grass, with trees or without."""
    grass = mottled(shade(r, r.choice([*GREENS, (0.62, 0.54, 0.28)]), 0.2), 0.4, 0.25)
    text = f"plane {{ y, 0 {grass} normal {{ granite 0.8 scale 0.3 }} }}"
    return text + ("\n" + trees(r) if r.random() < 0.6 else "")


def street(r: random.Random) -> str:
    """Return asphalt with a white line, and houses."""
    gray = shade(r, (0.38, 0.38, 0.39), 0.3)
    line = f"texture {{ pigment {{ {srgb((0.8, 0.8, 0.75))} }} }}"
    turn = f"rotate y*{r.uniform(0, 180):.3g}"
    strip = box((-20, -0.01, 0.9), (20, 0.004, 1.05), f"{turn} {line}")
    return f"plane {{ y, 0 {mottled(gray, 0.25, 0.2)} }}\n{strip}\n{blocks(r)}"


def bare(r: random.Random) -> str:
    """Return sand, earth or snow."""
    tone = shade(r, r.choice([(0.75, 0.64, 0.46), (0.45, 0.34, 0.24), (0.88, 0.89, 0.92)]), 0.15)
    return f"plane {{ y, 0 {mottled(tone, 0.2, 0.4)} normal {{ bumps 0.5 scale 0.3 }} }}"


def floor(r: random.Random) -> str:
    """Return a room: a plain, tiled or wooden floor and a wall, with blocks on it."""
    tone, wall = shade(r, r.choice([*PAINTS, *COATS]), 0.3), shade(r, r.choice(COATS + PAINTS), 0.3)
    other = srgb(scaled(tone, r.uniform(0.5, 0.9)))
    kinds = [
        f"checker {srgb(tone)} {other} scale {r.uniform(0.3, 0.8):.3g}",
        f"wood color_map {{ [0 {srgb(tone)}] [1 {other}] }} turbulence 0.1 scale 0.15",
        f"bozo color_map {{ [0.3 {srgb(tone)}] [0.8 {other}] }} scale {r.uniform(0.3, 2):.3g}",
    ]
    text = f"plane {{ y, 0 pigment {{ {r.choice(kinds)} rotate y*{r.uniform(0, 90):.3g} }} }}"
    distance = r.uniform(2.2, 6)
    panel = f"plane {{ -z, {-distance:.3g} {mottled(wall, 0.12, 0.8)}"
    text += f"\n{panel} rotate y*ViewTurn }}"
    return text + ("\n" + blocks(r) if r.random() < 0.5 else "")


def water(r: random.Random) -> str:
    """Return water with waves."""
    tone = shade(r, r.choice([(0.10, 0.24, 0.36), (0.14, 0.30, 0.32), (0.28, 0.32, 0.34)]), 0.25)
    wave = f"normal {{ bumps {r.uniform(0.2, 0.7):.3g} scale <0.5, 0.3, 0.2> }}"
    finish = "finish { diffuse 0.7 specular 0.3 roughness 0.02 reflection { 0.05, 0.6 fresnel } }"
    return f"plane {{ y, 0 pigment {{ {srgb(tone)} }} {wave} {finish} interior {{ ior 1.33 }} }}"


def air(r: random.Random) -> str:
    """Return nothing but a land far below."""
    tone = shade(r, r.choice([*GREENS, (0.5, 0.45, 0.35), (0.25, 0.35, 0.45)]), 0.2)
    return f"plane {{ y, {-r.uniform(6, 25):.3g} {mottled(tone, 0.3, 3, 'bozo')} }}"


SURROUNDINGS = (meadow, street, bare, floor, water)
USUAL = {  # a class's own surroundings, which it has half the time
    "airplane": street, "automobile": street, "bird": meadow, "cat": floor, "deer": meadow,
    "dog": meadow, "frog": bare, "horse": meadow, "ship": water, "truck": street,
}  # fmt: skip


def sky(r: random.Random) -> str:
    """Return a clear, hazy, cloudy or evening sky."""
    high = shade(r, r.choice(SKIES), 0.15)
    low = mixed(high, (0.92, 0.92, 0.90), r.uniform(0.3, 0.8))
    cloud = srgb(mixed(high, (0.97, 0.97, 0.97), r.uniform(0.2, 0.9)))
    cover = r.uniform(0.3, 0.8)
    clouds = (
        f"bozo turbulence 0.7 color_map {{ [{cover:.3g} {srgb(high)}]"
        f" [{cover + 0.2:.3g} {cloud}] }} scale <0.5, 0.2, 0.5>"
    )
    return (
        f"sky_sphere {{ pigment {{ gradient y pigment_map {{ [0 color {srgb(low)}] [0.35 {clouds}]"
        " } } }"
    )


def light(r: random.Random) -> str:
    """Return a sun, high or low, and the softer light of the sky from two sides."""
    strength, sunny = r.uniform(0.75, 1.1), r.choice([1.0, 0.8, 0.35])
    azimuth, rise = r.uniform(0, 360), r.uniform(15, 75)
    warm = mixed((1, 0.98, 0.95), (1, 0.75, 0.5), (75 - rise) / 60 * r.random())
    sun = vec(*(1.5 * strength * sunny * c**2.2 for c in warm))
    fill = strength * (0.95 - 0.4 * sunny)
    return (
        f"light_source {{ 0 rgb {sun} translate x*80 rotate z*{rise:.3g}"
        f" rotate y*{azimuth:.4g} }}\n"
        f"light_source {{ <10, 60, -20> rgb {fill:.3g} shadowless }}\n"
        f"light_source {{ {vec(r.uniform(-50, 50), 12, r.uniform(-50, 50))} rgb {fill * 0.6:.3g}"
        " shadowless }\n"
    )


def camera(r: random.Random, toy: Toy) -> str:
    """Return a camera that sees the toy from any side, near or far, not quite in the middle."""
    fill = r.uniform(0.62, 1.15)  # share of the frame that the toy spans
    distance = toy.extent / fill / (2 * math.tan(math.radians(VIEW_ANGLE / 2)))
    turned = r.uniform(-180, 180)
    if toy.facing and r.random() < 0.8:
        turned = r.uniform(-110, 110)
    azimuth = math.radians(turned)
    rise = math.radians(r.uniform(-35, 40) if toy.flying else 3 + 40 * r.random() ** 1.5)
    flat = distance * math.cos(rise)
    wander = 0.1 * toy.extent
    target = [m + r.uniform(-wander, wander) for m in toy.middle]
    x, y, z = toy.middle
    place = (
        x + flat * math.cos(azimuth),
        y + distance * math.sin(rise),
        z + flat * math.sin(azimuth),
    )
    if not toy.flying:
        place = (place[0], max(place[1], 0.12), place[2])
    roll = math.radians(r.gauss(0, 4))
    up = (math.sin(roll), math.cos(roll), 0)
    turn = math.degrees(math.atan2(-math.cos(azimuth), -math.sin(azimuth)))
    return (
        f"#declare ViewTurn = {turn:.4g};\n"
        f"camera {{ location {vec(*place)} right x up y sky {vec(*up)}"
        f" look_at {vec(*target)} angle {VIEW_ANGLE} }}\n"
    )


def occluder(r: random.Random, toy: Toy) -> str:
    """Return a post or a twig that stands beside the toy and may hide a part of it."""
    angle, distance = r.uniform(0, 2 * math.pi), toy.extent * r.uniform(0.5, 0.8)
    x, z = toy.middle[0] + distance * math.cos(angle), toy.middle[2] + distance * math.sin(angle)
    top = (x + r.uniform(-0.5, 0.5), r.uniform(0.5, 2.5), z + r.uniform(-0.5, 0.5))
    thick = toy.extent * r.uniform(0.02, 0.07)
    skin = mottled(shade(r, r.choice([*COATS, *GREENS])), 0.3, 0.2)
    return union([chain([(x, -0.5, z), top], [thick, thick * 0.7])], skin)


def scene(picture: Picture) -> str:
    """Describe a picture's scene."""
    r = picture.random()
    toy = BUILDERS[picture.name](r)
    if toy.flying:
        around = air if r.random() < 0.75 else r.choice(SURROUNDINGS)
    else:
        around = USUAL[picture.name] if r.random() < 0.5 else r.choice(SURROUNDINGS)
    lift = "translate y*1.6" if toy.flying and around is not air else ""
    toy = toy._replace(middle=(toy.middle[0], toy.middle[1] + (1.6 if lift else 0), toy.middle[2]))
    text = [VERSION, LIMB, camera(r, toy), light(r), sky(r), around(r)]
    text.append(f"object {{ {toy.text} {lift} }}")
    if r.random() < 0.2:
        text.append(occluder(r, toy))
    return "\n".join(text)


# ---- pictures and sheets -------------------------------------------------------------------------


def pictures(seed: int) -> list[Picture]:
    """List all pictures of the set, a sheet after the other."""
    return [
        Picture(split, name, number, seed)
        for split, count in COUNTS.items()
        for name in BUILDERS
        for number in range(1, count + 1)
    ]


def draw(picture: Picture) -> bytes:
    """Render a picture and reduce it, as the content of a PNG file."""
    content = io.BytesIO()
    image = trace_rays(scene(picture), str(picture), RENDERED_PIXELS)
    image.resize((PIXELS, PIXELS), Image.Resampling.BOX).save(content, "PNG")
    return content.getvalue()


def corner(picture: Picture) -> tuple[int, int]:
    """Return the upper left corner of a picture in its sheet."""
    row, column = divmod(picture.number - 1, COLUMNS[picture.split])
    return column * PIXELS, row * PIXELS


def write(rendered: Iterator[tuple[Picture, bytes]], out: Path) -> None:
    """Write the sheets, each when its last picture has come."""
    for picture, content in rendered:
        count, columns = COUNTS[picture.split], COLUMNS[picture.split]
        if picture.number == 1:
            sheet = Image.new("RGB", (columns * PIXELS, count // columns * PIXELS))
        with Image.open(io.BytesIO(content)) as image:
            sheet.paste(image, corner(picture))
        if picture.number == count:
            path = out / picture.split / f"{picture.name}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part")
            sheet.save(half, "WEBP", lossless=True, quality=100, method=6)
            half.replace(path)


def read(picture: Picture, out: Path) -> Image.Image:
    """Read a picture from its sheet."""
    left, top = corner(picture)
    with Image.open(out / picture.split / f"{picture.name}.webp") as sheet:
        return sheet.convert("RGB").crop((left, top, left + PIXELS, top + PIXELS))


if __name__ == "__main__":
    rows = [[Picture("train", name, number, 0) for number in range(1, 21)] for name in BUILDERS]
    run(__doc__.splitlines()[0], pictures, draw, write, read, sheet=(rows, 48))
