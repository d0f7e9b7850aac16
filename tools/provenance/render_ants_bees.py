"""Render the stand-in for the photographs of ants and bees with the ray tracer POV-Ray.

    python -m tools.provenance.render_ants_bees helpers/embedded/ants_bees
    python -m tools.provenance.render_ants_bees helpers/embedded/ants_bees --check

Every picture has a scene of its own: a description in POV-Ray's language, drawn from the seed, the
split, the class and the picture's number; nothing else enters. Grounds, light, camera and what
lies about come from the same distributions for both classes; only the insects differ.

Lengths are in "body lengths": an ant or a bee is about 3 units long. A body's own axes are x to the
head, y up and z to its side. Colors are sRGB in [0, 1].
"""

import io
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

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
    spread_colors,
    srgb,
    trace_rays,
    union,
    vec,
)

COUNTS = {"train": (123, 121), "val": (70, 83), "test": (100, 100)}  # ants, bees
CLASSES = ("ants", "bees")
GROUNDS = ("sand", "bark", "leaf", "petal", "stone", "moss")
PIXELS = 160  # width and height of a picture
QUALITY = 85  # of its JPEG
GROUND_SIZE = 30.0  # width of the modeled ground
VIEW_ANGLE = 40.0  # of the camera, in degrees
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # of the leaves on a stem

# Colors to choose from; each is varied again.
SANDS = ((0.80, 0.68, 0.50), (0.72, 0.55, 0.38), (0.62, 0.57, 0.50))
BARKS = ((0.50, 0.42, 0.35), (0.42, 0.31, 0.24), (0.58, 0.53, 0.47))
LEAVES = ((0.30, 0.50, 0.14), (0.42, 0.55, 0.18), (0.22, 0.40, 0.16))
AUTUMN = (0.62, 0.45, 0.20)
PETALS = (
    (0.88, 0.62, 0.74),
    (0.90, 0.86, 0.80),
    (0.88, 0.70, 0.22),
    (0.62, 0.48, 0.74),
    (0.82, 0.46, 0.24),
)
PETAL_ROOTS = ((0.55, 0.30, 0.10), (0.85, 0.80, 0.45), (0.45, 0.15, 0.30))
FLORETS = ((0.80, 0.60, 0.15), (0.48, 0.34, 0.16), (0.72, 0.66, 0.25))
STONES = ((0.55, 0.53, 0.51), (0.58, 0.48, 0.43), (0.36, 0.37, 0.38))
MOSSES = ((0.44, 0.56, 0.20), (0.34, 0.48, 0.20), (0.58, 0.58, 0.26))
DARK_SKINS = ((0.10, 0.08, 0.08), (0.20, 0.13, 0.10), (0.14, 0.12, 0.13))
WARM_SKINS = ((0.62, 0.40, 0.16), (0.50, 0.25, 0.12), (0.66, 0.50, 0.26))
PALE_HAIR = (0.70, 0.58, 0.36)
BEE_FURS = ((0.66, 0.52, 0.30), (0.62, 0.56, 0.46))
BEE_BAND = (0.66, 0.60, 0.46)
PLANTS = ((0.36, 0.50, 0.16), (0.50, 0.55, 0.22), (0.68, 0.58, 0.34))
WINGS = ((0.80, 0.80, 0.76), (0.62, 0.52, 0.38), (0.40, 0.36, 0.34))

MACROS = """
// The point of the ground below (or above) a place.
#macro Touch(X, Z) trace(Ground, <X, 30, Z>, -y) #end

// The ground's mean height around a place: what a body stands over.
#macro Level(X, Z)
  ((Touch(X, Z).y + Touch(X + 0.6, Z).y + Touch(X - 0.6, Z).y
    + Touch(X, Z + 0.6).y + Touch(X, Z - 0.6).y) / 5)
#end

// Put a thing on the ground.
#macro Drop(Thing, X, Z, Lift)
  object { Thing translate Touch(X, Z) + Lift * y }
#end

// A leg from the hip over the knee and the ankle to the claw, which touches the ground.
#macro Leg(Hip, Knee, Ankle, Claw, R)
  #local Heel = Touch(Ankle.x, Ankle.z) + 0.12 * y;
  #local Toe = Touch(Claw.x, Claw.z) + 0.02 * y;
  #local Up = Base * y;
  Limb(Hip + Up, R * 0.8, Hip + Up + (Knee - Hip) * 0.5, R * 1.25)
  Limb(Hip + Up + (Knee - Hip) * 0.5, R * 1.25, Knee + Up, R * 0.75)
  Limb(Knee + Up, R * 0.75, Knee + Up + (Heel - Knee - Up) * 0.6, R * 0.85)
  Limb(Knee + Up + (Heel - Knee - Up) * 0.6, R * 0.85, Heel, R * 0.5)
  Limb(Heel, R * 0.5, Toe, R * 0.32)
#end
"""


# ---- the ground ----------------------------------------------------------------------------------


def height_field(height: str, depth: float, texture: str) -> str:
    """Return a ground whose height is a function `height` of x and y, both in [0, 1]."""
    return (
        f"height_field {{ function 240, 240 {{ max(0, min(1, {height})) }} smooth"
        f" translate <-0.5, -1, -0.5> scale {vec(GROUND_SIZE, depth, GROUND_SIZE)} {texture} }}"
    )


def pattern(name: str, text: str) -> str:
    """Declare a function from one of POV-Ray's patterns; the ground's width is its unit."""
    return f"#declare {name} = function {{ pattern {{ {text} }} }}\n"


def by_height(low: str, high: str, depth: float) -> str:
    """Blend the insides of two pigments: `low` in the crevices, `high` on top."""
    return (
        f"pigment {{ gradient y pigment_map {{ [0.15 {low}] [0.85 {high}] }}"
        f" scale <1, {depth}, 1> translate -{depth}*y }}"
    )


def sand(r: random.Random) -> str:
    """Build dunes of single grains."""
    tone = shade(r, r.choice(SANDS), 0.15)
    grain = r.uniform(0.07, 0.13)
    grains = (
        f"pigment {{ crackle solid color_map {{ [0 {srgb(scaled(tone, 0.5))}]"
        f" [0.25 {srgb(scaled(tone, 0.85))}] [0.8 {srgb(tone)}] [1 {srgb(scaled(tone, 1.2))}] }}"
        f" scale {grain:.3g} }}"
    )
    texture = f"texture {{ {grains} normal {{ crackle 0.9 scale {grain:.3g} }} }}"
    field = height_field("0.8*Dune(x,y,0) + 0.2*Rough(x,y,0)", 0.8, texture)
    loose = [
        f"Drop(sphere {{ 0, 1 scale {vec(s, s * 0.8, s * r.uniform(0.7, 1))}"
        f" pigment {{ {srgb(shade(r, tone, 0.45))} }} }}, {x:.3f}, {z:.3f}, {s * 0.3:.3f})"
        for x, z, s in ((*spot(r, 6.5), r.uniform(0.03, 0.09)) for _ in range(320))
    ]
    patterns = pattern("Dune", "bozo scale 0.12") + pattern("Rough", "granite scale 0.05")
    return patterns + f"#declare Ground = {field}\n" + union(loose)


def bark(r: random.Random) -> str:
    """Build plates of bark between deep, long crevices, with patches of lichen."""
    tone = shade(r, r.choice(BARKS), 0.2)
    turn = r.uniform(0, 180)
    frame = f"scale <0.16, 0.045, 0.1> rotate z*{turn:.3g}"
    patterns = (
        pattern("Plate", f"crackle turbulence 0.35 {frame} translate {r.random():.3g}")
        + pattern("Ridge", f"wrinkles scale <0.05, 0.008, 0.05> rotate z*{turn:.3g}")
        + pattern("Rough", "granite scale 0.03")
    )
    height = "0.62*min(1, 3*Plate(x,y,0)) + 0.28*Ridge(x,y,0) + 0.1*Rough(x,y,0)"
    lichen = srgb(shade(r, r.choice([(0.62, 0.66, 0.50), (0.75, 0.62, 0.25), tone]), 0.1))
    pale = scaled(tone, 1.2)
    top = (
        f"bozo turbulence 0.6 pigment_map {{ [0.62 granite color_map {{"
        f" [0 {srgb(scaled(tone, 0.7))}] [1 {srgb(pale)}] }} scale 0.5]"
        f" [0.66 granite color_map {{ [0 {lichen}] [1 {srgb(tone)}] }} scale 0.2] }} scale 1.3"
    )
    low = f"color {srgb(scaled(tone, 0.3))}"
    texture = f"texture {{ {by_height(low, top, 0.9)} normal {{ granite 0.5 scale 0.25 }} }}"
    return patterns + f"#declare Ground = {height_field(height, 0.9, texture)}\n"


def leaf(r: random.Random) -> str:
    """Build a leaf with a midrib, side veins and a net of small ones between them."""
    tone = shade(r, r.choice(LEAVES), 0.2)
    if r.random() < 0.25:
        tone = shade(r, AUTUMN, 0.2)
    turn = math.radians(r.uniform(0, 360))
    c, s = f"{math.cos(turn):.4f}", f"{math.sin(turn):.4f}"
    shift = r.uniform(-2, 2)
    functions = (
        f"#declare Along = function(x, y) {{ {GROUND_SIZE}*((x-0.5)*{c} + (y-0.5)*{s}) }}\n"
        f"#declare Across = function(x, y) {{ {GROUND_SIZE}*((y-0.5)*{c} - (x-0.5)*{s})"
        f" + {shift:.3f} }}\n"
        "#declare Side = function(x, y) { abs(mod(Along(x,y) + 0.9*abs(Across(x,y))"
        f" + 90, 1.9) - 0.95) }}\n"
        "#declare Vein = function(x, y) { min(1, exp(-pow(Across(x,y)/0.17, 2))"
        " + 0.7*exp(-pow(Side(x,y)/0.075, 2))) }\n"
    )
    patterns = (
        pattern("Cell", "crackle scale 0.013")
        + pattern("Wave", "bozo scale 0.13")
        + pattern("Fleck", "granite scale 0.08")
    )
    height = "0.35 + 0.45*Wave(x,y,0) + 0.12*min(1, Side(x,y)) - 0.1*Vein(x,y) + 0.04*Cell(x,y,0)"
    vein = mixed(tone, (0.80, 0.85, 0.55), 0.55)
    place = f"x/{GROUND_SIZE} + 0.5, 0.5 - z/{GROUND_SIZE}"
    pigment = (
        f"pigment {{ function {{ min(1, 0.9*Vein({place}) + 0.22*(1 - min(1, 4*Cell({place}, 0))) "
        f"+ 0.35*Fleck({place}, 0)) }} color_map {{ [0 {srgb(scaled(tone, 0.75))}]"
        f" [0.4 {srgb(scaled(tone, 1.1))}] [1 {srgb(vein)}] }} }}"
    )
    finish = "finish { diffuse 0.75 specular 0.12 roughness 0.06 }"
    texture = f"texture {{ {pigment} normal {{ bumps 0.15 scale 0.08 }} {finish} }}"
    return functions + patterns + f"#declare Ground = {height_field(height, 1.5, texture)}\n"


def one_petal(r: random.Random, inner: Color, outer: Color, length: float, width: float) -> str:
    """Return a petal along x: long, flat, finely striped, darker or lighter at its root."""
    edge, middle = srgb(scaled(outer, 0.86)), srgb(outer)
    stripes = (
        f"gradient z color_map {{ [0 {edge}] [0.5 {middle}] [1 {edge}] }}"
        " turbulence 0.12 scale 0.16"
    )
    texture = (
        "texture { pigment { gradient x pigment_map {"
        f" [0.05 color {srgb(inner)}] [0.55 {stripes}] [1 color {middle}] }}"
        f" scale {length * 2:.3g} }} normal {{ gradient z 0.35 sine_wave turbulence 0.1"
        " scale 0.16 } finish { diffuse 0.8 specular 0.06 roughness 0.1 } }"
    )
    tilt = f"rotate x*{r.uniform(-9, 9):.3g} rotate z*{r.uniform(-3, 6):.3g}"
    shape = f"scale {vec(length, 0.16, width)} translate x*{length:.3g}"
    return f"sphere {{ 0, 1 {shape} {texture} {tilt} }}"


def florets(r: random.Random, radius: float, color: Color) -> list[str]:
    """Return a flower's head: florets on a spiral of golden angles, like a sunflower's."""
    parts = []
    for k in range(240):
        share = (k + 0.5) / 240
        distance, angle = radius * math.sqrt(share), k * GOLDEN_ANGLE
        place = (
            distance * math.cos(angle),
            -0.25 + 0.5 * math.sqrt(max(0, 1 - share)),
            distance * math.sin(angle),
        )
        size = 0.062 * radius * (0.7 + 0.5 * share)
        tint = srgb(shade(r, mixed(scaled(color, 0.65), color, share), 0.15))
        shape = (size, size * r.uniform(1.4, 2.4), size)
        parts.append(ellipsoid(place, shape, skin=f"pigment {{ {tint} }}"))
    return parts


def petal(r: random.Random) -> str:
    """Build a flower: two rings of petals around a head."""
    outer = shade(r, r.choice(PETALS), 0.12)
    inner = mixed(outer, r.choice(PETAL_ROOTS), 0.6)
    center_x, center_z = spot(r, 2.6)
    heart = r.uniform(1.1, 1.7)
    parts = []
    for ring, lift in ((0, -0.28), (1, -0.12)):
        count = r.randint(9, 14)
        for k in range(count):
            length, width = r.uniform(3.4, 4.2) - ring * 0.4, 11.0 / count * r.uniform(0.9, 1.1)
            leaf_of_it = one_petal(r, inner, shade(r, outer, 0.06), length, width)
            turn = 360 / count * (k + ring / 2) + r.uniform(-6, 6)
            parts.append(f"object {{ {leaf_of_it} translate y*{lift} rotate y*{turn:.4g} }}")
    skin = f"pigment {{ {srgb(inner)} }}"
    parts.append(ellipsoid((0, -0.25, 0), (heart, 0.5, heart), skin=skin))
    parts += florets(r, heart, shade(r, r.choice(FLORETS), 0.15))
    below = mottled(shade(r, (0.16, 0.27, 0.10), 0.3), 0.5, 1.5, "bozo")
    parts.append(f"plane {{ y, -1.6 {below} }}")
    place = f"translate {vec(center_x, 0, center_z)}"
    return f"#declare Ground = {union(parts, place)}\nobject {{ Ground }}\n"


def stone(r: random.Random) -> str:
    """Build a rough rock of colored crystals with spots of lichen."""
    tone = shade(r, r.choice(STONES), 0.2)
    spotted = shade(r, r.choice([(0.72, 0.72, 0.60), (0.78, 0.56, 0.20), (0.30, 0.30, 0.28)]), 0.15)
    crystals = (
        f"crackle solid color_map {{ [0 {srgb(scaled(tone, 0.45))}] [0.2 {srgb(scaled(tone, 0.9))}]"
        f" [0.8 {srgb(scaled(tone, 1.12))}] [1 {srgb(scaled(tone, 1.4))}] }}"
        f" scale {r.uniform(0.05, 0.12):.3g}"
    )
    lichen = (
        f"granite color_map {{ [0 {srgb(scaled(spotted, 0.6))}] [1 {srgb(spotted)}] }} scale 0.3"
    )
    cover = r.uniform(0.6, 0.8)
    pigment = (
        f"pigment {{ bozo turbulence 0.5 octaves 5 pigment_map {{ [{cover:.3f} {crystals}]"
        f" [{cover + 0.03:.3f} {lichen}] }} scale {r.uniform(0.7, 1.5):.3g}"
        f" translate {r.uniform(0, 50):.3g} }}"
    )
    patterns = (
        pattern("Swell", f"bozo scale 0.1 translate {r.random():.3g}")
        + pattern("Rough", "granite scale 0.09")
        + pattern("Crack", f"crackle turbulence 0.4 scale 0.25 translate {r.random() * 9:.3g}")
    )
    height = "0.5*Swell(x,y,0) + 0.35*Rough(x,y,0) + 0.2*min(1, 12*Crack(x,y,0))"
    texture = (
        f"texture {{ {pigment} normal {{ granite 0.45 scale 0.4 }}"
        " finish { diffuse 0.8 specular 0.08 roughness 0.04 } }"
    )
    return patterns + f"#declare Ground = {height_field(height, 1.3, texture)}\n"


def sprig(color: Color) -> str:
    """Return a sprig of moss: eleven pointed leaves around a stem."""
    leaves = []
    for i in range(11):
        angle, rise = i * GOLDEN_ANGLE, i / 11
        reach, y = 0.17 * (1.1 - rise), 0.3 * rise
        tip = (reach * math.cos(angle), y + 0.1, reach * math.sin(angle))
        leaves.append(f"cone {{ {vec(0, y, 0)}, 0.022, {vec(*tip)}, 0.003 }}")
    return union(leaves, f"pigment {{ {srgb(color)} }}")


def moss(r: random.Random) -> str:
    """Build a cushion of moss from many copies of a few sprigs."""
    tone = shade(r, r.choice(MOSSES), 0.15)
    patterns = pattern("Cushion", "bozo scale 0.09") + pattern("Rough", "granite scale 0.05")
    low = spread_colors(scaled(tone, 0.4), 0.4, 0.3)
    high = spread_colors(scaled(tone, 0.75), 0.4, 0.25)
    texture = f"texture {{ {by_height(low, high, 1.1)} normal {{ granite 0.8 scale 0.3 }} }}"
    field = height_field("0.8*Cushion(x,y,0) + 0.2*Rough(x,y,0)", 1.1, texture)
    lines = [patterns, f"#declare Ground = {field}"]
    lines += [f"#declare Sprig{k} = {sprig(shade(r, scaled(tone, 1.1), 0.25))}" for k in range(4)]
    for _ in range(900):
        x, z = spot(r, 7.5)
        turned = f"object {{ Sprig{r.randrange(4)} scale {r.uniform(0.7, 1.5):.3g}"
        turned += f" rotate y*{r.uniform(0, 360):.3g} rotate x*{r.uniform(-20, 20):.3g} }}"
        lines.append(f"Drop({turned}, {x:.3f}, {z:.3f}, -0.05)")
    return "\n".join(lines)


def build_ground(kind: str, r: random.Random) -> str:
    """Build a ground of this kind; what lies far away is a plane, out of focus."""
    build = {"sand": sand, "bark": bark, "leaf": leaf, "petal": petal, "stone": stone, "moss": moss}
    text = build[kind](r)
    if kind != "petal":  # a flower has shown its parts already
        far = shade(r, (0.36, 0.38, 0.25), 0.4)
        text += f"\nobject {{ Ground }}\nplane {{ y, -2 {mottled(far, 0.4, 3, 'bozo')} }}\n"
    return text


def spot(r: random.Random, radius: float) -> tuple[float, float]:
    """Choose a place on the ground within a radius, denser near the middle."""
    distance, angle = radius * r.random() ** 0.7, r.uniform(0, 2 * math.pi)
    return distance * math.cos(angle), distance * math.sin(angle)


# ---- insects -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stance:
    """Where an insect stands and where it looks; turns its own points into the scene's."""

    x: float
    z: float
    yaw: float  # degrees around the vertical
    size: float

    def point(self, p: Vector) -> str:
        """Return a body's point in the scene, its height above the ground's level kept apart."""
        c, s = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        x, y, z = (self.size * v for v in p)
        return vec(self.x + c * x + s * z, y, self.z - s * x + c * z)

    def move(self, pitch: float, roll: float, height: float) -> str:
        """Return the movement of the body (not of its legs, which stand on the ground)."""
        return (
            f"translate {-height:.3g}*y rotate <{roll:.3g}, 0, {pitch:.3g}>"
            f" translate {height:.3g}*y scale {self.size:.3g} rotate y*{self.yaw:.4g}"
            f" translate <{self.x:.4g}, Base, {self.z:.4g}>"
        )


def body_texture(color: Color, shine: float, grain: float = 0.08) -> str:
    """Return the skin of an insect: finely mottled, a little glossy."""
    return (
        f"texture {{ {mottled(color, 0.3, grain)} normal {{ granite 0.25 scale {grain:.3g} }}"
        f" finish {{ diffuse 0.75 specular {shine:.3g} roughness {0.1 - 0.08 * shine:.3g}"
        f" reflection {{ 0, {0.25 * shine:.3g} fresnel }} conserve_energy }} }}"
        " interior { ior 1.4 }"
    )


def banded_texture(bands: list[tuple[float, Color]], shine: float, blur: float) -> str:
    """Return a skin in bands along y in [0, 1]: each lasts up to its number."""
    stops, start = [], 0.0
    for end, color in bands:
        stops += [f"[{start:.4f} {srgb(color)}]", f"[{max(start, end - blur):.4f} {srgb(color)}]"]
        start = end
    return (
        f"texture {{ pigment {{ gradient y color_map {{ {' '.join(stops)} }} turbulence 0.03"
        f" translate 0.0001*y }} normal {{ granite 0.2 scale 0.1 }} finish {{ diffuse 0.75"
        f" specular {shine:.3g} roughness 0.04 reflection {{ 0, {0.2 * shine:.3g} fresnel }} }} }}"
        " interior { ior 1.4 }"
    )


def abdomen_radius(t: float, segments: int, step: float) -> float:
    """Return the radius at the share `t` of the length: an egg with a small step at each plate."""
    egg = (t + 0.03) ** 0.5 * max(0.0, 1.02 - t) ** 0.62 * 1.62
    return egg * (1 - step * (t * segments % 1))


def abdomen(length: float, radius: float, segments: int, step: float, texture: str) -> str:
    """Return an abdomen from its front at the origin backward along x, as a turned solid."""
    shares = [k / 40 for k in range(41)]
    rows = [(abdomen_radius(t, segments, step), t) for t in shares]
    points = ", ".join(vec(*p) for p in [(0.02, -0.025), *rows, (0.01, 1.025)])
    shape = f"scale {vec(radius, length, radius)} rotate z*90"
    return f"sor {{ {len(rows) + 2}, {points} {texture} {shape} }}"


def hair(
    r: random.Random, center: Vector, radii: Vector, count: int, length: float, lean: float
) -> list[str]:
    """Return hairs on an ellipsoid, leaning backward; without a color."""
    hairs = []
    for _ in range(count):
        up = r.uniform(-0.55, 1)
        angle = r.uniform(0, 2 * math.pi)
        flat = math.sqrt(1 - up * up)
        n = (flat * math.cos(angle), up, flat * math.sin(angle))
        root = [c + 0.97 * s * v for c, s, v in zip(center, radii, n, strict=True)]
        tip = [p + length * (v + r.uniform(-0.35, 0.35)) for p, v in zip(root, n, strict=True)]
        tip[0] -= lean * length
        hairs.append(f"cone {{ {vec(*root)}, 0.015, {vec(*tip)}, 0.004 }}")
    return hairs


def dull(color: Color) -> str:
    """Return the texture of hair."""
    return f"texture {{ pigment {{ {srgb(color)} }} finish {{ diffuse 0.85 specular 0.1 }} }}"


def legs(
    r: random.Random, stance: Stance, hips: Vector, height: float, reach: float, thick: float
) -> list[str]:
    """Return six legs: hips at three places along the body, feet in a walking pattern."""
    parts = []
    for side in (-1, 1):
        for pair, hip_x in enumerate(hips):
            forward = (0.75, 0.0, -0.95)[pair] * reach
            out = (0.75, 1.05, 0.95)[pair] * reach
            swing = r.uniform(-0.22, 0.22) * reach + 0.12 * side * (-1) ** pair
            stretch = r.uniform(0.88, 1.1)
            hip = (hip_x, height * 0.85, side * 0.12)
            knee = (
                hip_x + 0.42 * forward + 0.3 * swing,
                height + (0.42, 0.45, 0.62)[pair] * reach * stretch,
                side * (0.12 + 0.5 * out),
            )
            ankle = (hip_x + forward + swing, 0, side * (0.12 + out) * stretch)
            toward = math.atan2(ankle[2], ankle[0] - hip_x)
            claw = (
                ankle[0] + 0.3 * reach * math.cos(toward),
                0,
                ankle[2] + 0.3 * reach * math.sin(toward),
            )
            points = ", ".join(stance.point(p) for p in (hip, knee, ankle, claw))
            parts.append(f"Leg({points}, {thick * stance.size:.4g})")
    return parts


def antennae(r: random.Random, root: Vector, scape: float, whip: float, thick: float) -> list[str]:
    """Return two elbowed antennae: a stiff first part, then a bent whip that thickens."""
    parts = []
    for side in (-1, 1):
        x, y, z = root
        spread = math.radians(r.uniform(25, 60))
        elbow = (
            x + scape * math.cos(spread),
            y + scape * r.uniform(0.15, 0.6),
            side * (z + scape * math.sin(spread)),
        )
        turn = math.radians(r.uniform(-15, 25)) * side
        drop = r.uniform(-0.55, 0.1)
        points, radii = [(x, y, side * z), elbow], [thick, thick]
        for k in range(1, 5):
            points.append(
                (
                    elbow[0] + whip * k / 4 * math.cos(turn),
                    elbow[1] + whip * drop * (k / 4) ** 1.5,
                    elbow[2] + whip * k / 4 * math.sin(turn) - side * 0.03 * k,
                )
            )
            radii.append(thick * (0.8 + 0.1 * k))
        parts.append(chain(points, radii))
    return parts


def wing_outline(length: float, width: float) -> list[tuple[float, float]]:
    """Return the outline of a wing from its root along -x, its front edge nearly straight."""
    front, back = [], []
    for k in range(13):
        t = k / 12
        swell = math.sin(math.pi * min(1.0, t**1.25 * 0.97 + 0.02)) ** 0.7
        front.append((-length * t, 0.28 * width * swell))
        back.append((-length * t, -width * swell))
    return front + back[::-1]


def wing(length: float, width: float, smoke: Color, clear: float) -> str:
    """Return a wing in the plane of x and z: a clear skin and the branches of its veins."""
    outline = wing_outline(length, width)
    corners = ", ".join(vec(x, z) for x, z in [*outline, outline[0]])
    skin = (
        f"polygon {{ {len(outline) + 1}, {corners} rotate x*90 texture {{"
        f" pigment {{ bozo color_map {{ [0 srgbt {vec(*smoke, clear)}]"
        f" [1 srgbt {vec(*scaled(smoke, 1.15), clear - 0.12)}] }}"
        " scale 0.3 } normal { bumps 0.25 scale 0.15 } finish { diffuse 0.5 specular 0.25"
        " roughness 0.02 irid { 0.08 thickness 0.4 turbulence 0.6 } } } }"
    )
    tree = [  # pairs of points, as shares of the length and the width
        [(0, 0.0), (0.35, 0.2), (0.7, 0.24), (0.96, 0.02)],
        [(0, 0.0), (0.3, 0.02), (0.55, 0.0), (0.95, -0.15)],
        [(0.05, -0.02), (0.3, -0.3), (0.55, -0.62), (0.6, -0.9)],
        [(0.3, 0.02), (0.38, -0.4)],
        [(0.55, 0.0), (0.5, -0.55)],
        [(0.55, 0.2), (0.62, 0.0), (0.68, -0.5), (0.8, -0.72)],
        [(0.72, 0.22), (0.76, -0.1), (0.72, -0.55)],
    ]
    edge = outline[:13]
    veins = [chain([(-length * a, 0, width * b) for a, b in line], [0.012] * 4) for line in tree]
    veins.append(chain([(x, 0, z) for x, z in edge], [0.018 - 0.0008 * k for k in range(13)]))
    brown = f"texture {{ pigment {{ {srgb(scaled(smoke, 0.3))} }} finish {{ specular 0.2 }} }}"
    return union([skin, union(veins, brown)])


def wings(r: random.Random, root: Vector, length: float, smoke: Color) -> list[str]:
    """Return two pairs of wings, spread or laid on the back."""
    parts = []
    folded = r.random() < 0.6
    angle = r.uniform(6, 24) if folded else r.uniform(35, 80)
    lift = r.uniform(-2, 8) if folded else r.uniform(5, 35)
    clear = r.uniform(0.7, 0.88)
    x, y, z = root
    for side in (-1, 1):
        for back, share in ((0, 1.0), (1, 0.72)):
            turn = angle * (1 if folded else r.uniform(0.92, 1.08)) - back * r.uniform(6, 16)
            blade = wing(length * share, 0.3 * length * (1 - 0.2 * back), smoke, clear)
            parts.append(
                f"object {{ {blade} scale <1, 1, {side}> rotate x*{side * 14:.3g}"
                f" rotate z*{-lift * (1 - 0.4 * back):.3g} rotate y*{side * turn:.3g}"
                f" translate {vec(x - 0.12 * back, y - 0.05 * back, side * z)} }}"
            )
    return parts


def skin_colors(r: random.Random) -> tuple[Color, Color]:
    """Choose a dark and a warm color: the same choices for ants and bees."""
    dark = shade(r, r.choice(DARK_SKINS), 0.3)
    warm = shade(r, r.choice(WARM_SKINS), 0.2)
    return dark, warm


def tergites(r: random.Random, segments: int, dark: Color, light: Color, share: float) -> list:
    """Return an abdomen's bands: on each plate the first part dark and the last `share` light."""
    bands = []
    for k in range(segments):
        edge = share * r.uniform(0.85, 1.15)
        bands += [((k + 1 - edge) / segments, dark), ((k + 1) / segments, light)]
    return bands


def ant_head(head: Vector, size: float) -> list[str]:
    """Return an ant's head, heart-shaped from above, with its jaws."""
    x, y, _ = head
    parts = [ellipsoid(head, (0.33 * size, 0.25 * size, 0.31 * size), -22)]
    for side in (-1, 1):
        cheek = (x - 0.1, y + 0.03, side * 0.12 * size)
        jaw = [
            (x + 0.2, y - 0.12, side * 0.13),
            (x + 0.38 * size, y - 0.2, side * 0.17),
            (x + 0.52 * size, y - 0.26, side * 0.04),
        ]
        parts += [ellipsoid(cheek, (0.22, 0.2, 0.18), -20), chain(jaw, [0.075, 0.06, 0.02])]
    return parts


def ant_trunk(r: random.Random, height: float, slim: float) -> tuple[list[str], float]:
    """Return an ant's slim middle and the knots of its waist, and where the waist ends."""
    parts = [
        ellipsoid((0.42, height + 0.08, 0), (0.34, 0.24 * slim, 0.23 * slim), 8),
        ellipsoid((0.12, height + 0.06, 0), (0.3, 0.2 * slim, 0.17 * slim), -6),
        ellipsoid((-0.16, height, 0), (0.27, 0.19 * slim, 0.16 * slim), -14),
        chain([(0.55, height + 0.05, 0), (0.95, height + 0.05, 0)], [0.12, 0.12]),
    ]
    waist = -0.42
    for _ in range(r.randint(1, 2)):
        parts.append(ellipsoid((waist, height + 0.02, 0), (0.09, r.uniform(0.13, 0.19), 0.11), 8))
        waist -= 0.17
    parts.append(chain([(-0.3, height - 0.05, 0), (waist, height, 0)], [0.07, 0.06]))
    return parts, waist


def ant_gaster(
    r: random.Random, front: Vector, color: Color, warm: Color, shine: float
) -> list[str]:
    """Return an ant's round end, plain or banded, bare or with short hairs."""
    length, radius = r.uniform(0.95, 1.35), r.uniform(0.36, 0.48)
    light = mixed(color, r.choice([warm, PALE_HAIR]), r.uniform(0.0, 0.75))
    bands = tergites(r, 4, color, light, r.uniform(0.12, 0.4))
    end = abdomen(length, radius, 4, 0.05, banded_texture(bands, shine, 0.03))
    place = f"rotate z*{r.uniform(-16, 6):.3g} translate {vec(*front)}"
    parts = [f"object {{ {end} {place} }}"]
    if r.random() < 0.55:
        tint = dull(shade(r, PALE_HAIR, 0.2))
        size = (length / 2, radius * 0.9, radius * 0.9)
        hairs = hair(r, (-length / 2, 0, 0), size, r.randint(40, 160), 0.08, 0.8)
        parts.append(union(hairs, f"{tint} {place}"))
        chest = (0.2, front[1] + 0.05, 0)
        parts.append(union(hair(r, chest, (0.5, 0.2, 0.18), r.randint(20, 70), 0.08, 0.3), tint))
    return parts


def ant(r: random.Random, stance: Stance) -> str:
    """Build an ant: a large head, a slim middle, a waist of one or two knots, a round end."""
    dark, warm = skin_colors(r)
    front, rear = r.choice([(dark, dark), (warm, dark), (warm, warm), (dark, warm), (warm, dark)])
    shine, height = r.uniform(0.15, 0.7), r.uniform(0.52, 0.68)
    size = r.uniform(0.85, 1.2)  # of the head
    skin = body_texture(front, shine)
    head = (0.95 + 0.1 * size, height + 0.06, 0)
    trunk, waist = ant_trunk(r, height, r.uniform(0.85, 1.1))
    feelers = antennae(
        r, (head[0] + 0.2, head[1] + 0.1, 0.09), r.uniform(0.5, 0.7), r.uniform(0.6, 0.85), 0.035
    )
    body = [union([*ant_head(head, size), *trunk, *feelers], skin)]
    eye = "texture { pigment { srgb 0.05 } finish { specular 0.9 roughness 0.005 } }"
    for side in (-1, 1):
        place = (head[0] + 0.02, head[1] + 0.11 * size, side * 0.25 * size)
        body.append(ellipsoid(place, (0.075, 0.06, 0.05), skin=eye))
    body += ant_gaster(r, (waist + 0.1, height + 0.02, 0), rear, warm, shine)
    walking = legs(r, stance, (0.48, 0.22, -0.02), height, r.uniform(1.05, 1.35), 0.05)
    return joined(r, stance, height, body, walking, skin)


def bee_head(r: random.Random, head: Vector, girth: float, skin: str) -> list[str]:
    """Return a bee's head: broad, with large eyes, short feelers and a tongue."""
    x, y, _ = head
    parts = [
        ellipsoid(head, (0.23, 0.3 * girth + 0.05, 0.33 * girth + 0.05), -15),
        chain([(0.4, y + 0.05, 0), head], [0.15, 0.15]),
        chain([(x + 0.12, y - 0.2, 0), (x + 0.2, y - 0.42, 0)], [0.07, 0.03]),
        *antennae(r, (x + 0.18, y + 0.1, 0.07), r.uniform(0.22, 0.32), r.uniform(0.4, 0.55), 0.034),
    ]
    glint = r.uniform(0.03, 0.2)
    eye = f"texture {{ pigment {{ srgb {vec(glint, glint * 0.8, glint * 0.6)} }}"
    eye += " finish { specular 0.6 roughness 0.01 } }"
    shape = (0.14, 0.25 * girth + 0.03, 0.11)
    sides = [(x + 0.03, y + 0.05, side * (0.26 * girth + 0.06)) for side in (-1, 1)]
    return [union(parts, skin), *(ellipsoid(place, shape, -15, eye) for place in sides)]


def bee_abdomen(
    r: random.Random, front: Vector, girth: float, dark: Color, light: Color, shine: float
) -> tuple[str, str]:
    """Return a bee's banded abdomen and its hairs, which have no color yet."""
    segments = r.randint(4, 6)
    length = r.uniform(1.25, 1.6) * (0.85 + 0.15 * girth)
    bands = tergites(r, segments, dark, light, r.uniform(0.3, 0.6))
    end = abdomen(length, 0.56 * girth, segments, 0.07, banded_texture(bands, shine, 0.03))
    place = f"rotate z*{r.uniform(-6, 18):.3g} translate {vec(*front)}"
    coat = hair(r, (-length / 2, 0, 0), (length / 2, 0.45 * girth, 0.45 * girth), 160, 0.1, 0.9)
    return f"object {{ {end} {place} }}", union(coat, place)


def bee_coat(
    r: random.Random, chest: Vector, thorax: Vector, girth: float, fur: Color
) -> list[str]:
    """Return a bee's furry thorax: lighter and darker hairs over mottled skin."""
    under = f"{mottled(scaled(fur, 0.7), 0.45, 0.06)} normal {{ granite 0.8 scale 0.1 }}"
    parts = [ellipsoid(chest, thorax, skin=f"texture {{ {under} }}")]
    for share in (1.12, 0.75):
        count = int(r.uniform(225, 450) * girth)
        coat = hair(r, chest, thorax, count, r.uniform(0.11, 0.19), 0.35)
        parts.append(union(coat, dull(scaled(fur, share))))
    return parts


def bee(r: random.Random, stance: Stance) -> str:
    """Build a bee: furry and stout, with large eyes, four wings and plates with bands."""
    dark, warm = skin_colors(r)
    slender = r.random() < 0.2  # small solitary bees are nearly as slim as ants
    girth = r.uniform(0.7, 0.85) if slender else r.uniform(0.95, 1.25)
    shine, height = r.uniform(0.15, 0.6), r.uniform(0.55, 0.72)
    fur = shade(r, r.choice([warm, warm, *BEE_FURS, dark]), 0.15)
    skin = body_texture(dark, shine)
    chest = (0.2, height + 0.12, 0)
    thorax = (0.52 * (0.8 + 0.2 * girth), 0.46 * girth, 0.46 * girth)
    head = (chest[0] + thorax[0] + 0.22, height, 0)
    waist = (-0.3 * girth - 0.08, height + 0.04, 0)
    body = [*bee_head(r, head, girth, skin), ellipsoid(waist, (0.2, 0.14, 0.13), skin=skin)]
    light = mixed(dark, r.choice([warm, warm, BEE_BAND]), r.choice([0.3, 0.8, 0.95, 1.0]))
    end, coat = bee_abdomen(r, waist, girth, dark, light, shine)
    face = hair(r, head, (0.22, 0.3 * girth, 0.3 * girth), 70, 0.09, -0.3)
    body += [end, union([*face, coat], dull(scaled(fur, 0.9)))]
    body += bee_coat(r, chest, thorax, girth, fur)
    smoke = shade(r, r.choice(WINGS), 0.1)
    root = (0.12, chest[1] + thorax[1] * 0.85, thorax[2] * 0.55)
    body += wings(r, root, r.uniform(1.55, 1.95), smoke)
    walking = legs(r, stance, (0.45, 0.2, -0.08), height, r.uniform(0.78, 1.02), 0.062)
    return joined(r, stance, height, body, walking, skin)


def joined(
    r: random.Random, stance: Stance, height: float, body: list[str], walking: list[str], skin: str
) -> str:
    """Set a body on its legs."""
    move = stance.move(r.uniform(-7, 9), r.uniform(-7, 7), height)
    base = f"#declare Base = Level({stance.x:.4g}, {stance.z:.4g});\n"
    return base + union(body, move) + "\n" + union(walking, skin)


# ---- what lies about -----------------------------------------------------------------------------


def blade(r: random.Random, root: Vector, tip: Vector, width: float, color: Color) -> str:
    """Return a bent blade of grass: two strips of triangles that meet in a fold."""
    sag = [r.uniform(-0.2, 0.2) * math.dist(root, tip) for _ in range(3)]
    along = [b - a for a, b in zip(root, tip, strict=True)]
    side = (-along[2], 0.0, along[0])
    norm = math.hypot(*side) or 1.0
    rows = []
    for k in range(13):
        t = k / 12
        bend = 4 * t * (1 - t)
        middle = [a + t * d + bend * s for a, d, s in zip(root, along, sag, strict=True)]
        half = width * (1 - t**2.5) * 0.5
        edges = [[m + sign * half * v / norm for m, v in zip(middle, side, strict=True)]
                 for sign in (-1, 1)]  # fmt: skip
        middle[1] -= 0.3 * half
        rows.append((edges[0], middle, edges[1]))
    faces = []
    for a, b in pairwise(rows):
        for i in (0, 1):
            corners = [vec(*p) for p in (a[i], a[i + 1], b[i], b[i + 1])]
            faces.append(f"triangle {{ {corners[0]}, {corners[1]}, {corners[2]} }}")
            faces.append(f"triangle {{ {corners[1]}, {corners[2]}, {corners[3]} }}")
    return f"mesh {{ {' '.join(faces)} {mottled(color, 0.25, 0.3)} finish {{ diffuse 0.8 }} }}"


def plant_color(r: random.Random) -> Color:
    """Choose the green or the straw color of a plant."""
    return shade(r, r.choice(PLANTS), 0.25)


def pebble(r: random.Random, size: float) -> str:
    """Return a pebble: a smooth blend of three lumps, in an insect's colors or a stone's."""
    color = r.choice([*skin_colors(r), (0.55, 0.52, 0.48), (0.70, 0.64, 0.55)])
    lumps = []
    for _ in range(3):
        place = [r.uniform(-0.4, 0.4) * size for _ in range(3)]
        radius = r.uniform(1.0, 1.7) * size
        lumps.append(f"sphere {{ {vec(*place)}, {radius:.3g}, 1 }}")
    return (
        f"blob {{ threshold 0.5 {' '.join(lumps)} scale {vec(1, 0.65, r.uniform(0.6, 1))}"
        f" rotate y*{r.uniform(0, 360):.3g} {mottled(shade(r, color, 0.2), 0.35, 0.2)}"
        " normal { granite 0.3 scale 0.3 } finish { diffuse 0.8 specular 0.1 roughness 0.05 } }"
    )


def litter(r: random.Random) -> str:
    """Scatter pebbles, pollen, fallen petals, clear seed wings and blades of grass."""
    things = []
    for _ in range(r.choice([0, 0, 1, 2, 5])):
        x, z = spot(r, 4.5)
        size = r.uniform(0.12, 0.42)
        things.append(f"Drop({pebble(r, size)}, {x:.3f}, {z:.3f}, {size * 0.2:.3f})")
    pollen = shade(r, (0.82, 0.66, 0.24), 0.15)
    for _ in range(r.choice([0, 0, 25, 70])):
        x, z = spot(r, 3.5)
        size = r.uniform(0.025, 0.06)
        grain = f"sphere {{ 0, {size:.3g} pigment {{ {srgb(shade(r, pollen))} }} }}"
        things.append(f"Drop({grain}, {x:.3f}, {z:.3f}, 0.02)")
    for _ in range(r.choice([0, 0, 0, 1, 2])):  # wings of seeds and of others' prey
        x, z = spot(r, 2.6)
        smoke = shade(r, r.choice(WINGS[:2]), 0.15)
        flat = wing(r.uniform(1.0, 1.9), r.uniform(0.28, 0.5), smoke, r.uniform(0.35, 0.7))
        turn = vec(r.uniform(-25, 25), r.uniform(0, 360), r.uniform(-25, 25))
        things.append(f"Drop(object {{ {flat} rotate {turn} }}, {x:.3f}, {z:.3f}, 0.3)")
    for _ in range(r.choice([0, 0, 1, 3])):
        (x, z), color = spot(r, 6), plant_color(r)
        tip = (r.uniform(-3, 3), r.uniform(1, 4), r.uniform(-3, 3))
        stalk = blade(r, (0, -0.3, 0), tip, r.uniform(0.12, 0.4), color)
        things.append(f"Drop({stalk}, {x:.3f}, {z:.3f}, 0)")
    for _ in range(r.choice([0, 0, 2, 4])):  # dry stalks that lie on the ground like legs
        x, z = spot(r, 3.5)
        angle, length = r.uniform(0, math.pi), r.uniform(0.5, 1.6)
        end = (length * math.cos(angle), r.uniform(0.0, 0.15), length * math.sin(angle))
        middle = (end[0] * 0.5 + r.uniform(-0.2, 0.2), 0.12, end[2] * 0.5)
        color = srgb(shade(r, r.choice([*skin_colors(r), plant_color(r)])))
        stick = union([chain([(0, 0.04, 0), middle, end], [0.04, 0.035, 0.02])],
                      f"pigment {{ {color} }}")  # fmt: skip
        things.append(f"Drop({stick}, {x:.3f}, {z:.3f}, 0.05)")
    return "\n".join(things)


# ---- camera and light ----------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A camera: where it stands, what it looks at, and how sharp it sees."""

    place: Vector
    target: Vector
    roll: float
    aperture: float
    focus: Vector

    def text(self) -> str:
        """Write the camera."""
        c, s = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return (
            f"camera {{ location {vec(*self.place)} right x up y sky {vec(s, c, 0)}"
            f" look_at {vec(*self.target)} angle {VIEW_ANGLE} aperture {self.aperture:.3g}"
            f" focal_point {vec(*self.focus)} blur_samples 19 confidence 0.9 variance 1/150 }}\n"
        )


def choose_view(r: random.Random) -> View:
    """Choose a camera."""
    fill = r.uniform(0.52, 0.95)  # share of the frame that an insect spans
    distance = 3.2 / fill / (2 * math.tan(math.radians(VIEW_ANGLE / 2)))
    azimuth, rise = r.uniform(0, 2 * math.pi), math.radians(r.uniform(22, 76))
    flat = distance * math.cos(rise)
    place = (flat * math.cos(azimuth), distance * math.sin(rise), flat * math.sin(azimuth))
    wander = 0.22 / fill
    target = (r.uniform(-wander, wander), r.uniform(0, 0.6), r.uniform(-wander, wander))
    place = tuple(p + 0.6 * t for p, t in zip(place, target, strict=True))
    focus = (r.uniform(-0.7, 0.7), 0.4, r.uniform(-0.7, 0.7))
    aperture = distance * r.uniform(0.02, 0.11)
    return View(place, target, r.uniform(-15, 15), aperture, focus)


def light(r: random.Random) -> str:
    """Return a sun (high or low, or behind clouds) and a soft sky with its shadows."""
    sunny = r.choice([1.0, 0.7, 0.25])
    strength = r.uniform(0.55, 1.0)
    azimuth, rise = r.uniform(0, 360), r.uniform(22, 70)
    warm = mixed((1, 0.98, 0.94), (1, 0.80, 0.58), (70 - rise) / 48)
    cool = mixed((1, 1, 1), (0.82, 0.90, 1.0), sunny)
    soft = 6 + 30 * (1 - sunny)
    power = [2.5 * strength * sunny * c**2.2 for c in warm]
    sun = (
        f"light_source {{ 0 rgb {vec(*power)} area_light {soft:.3g}*y, {soft:.3g}*z, 2, 2 jitter"
        f" translate x*60 rotate z*{rise:.3g} rotate y*{azimuth:.4g} }}\n"
    )
    fill = strength * (1.35 - 0.75 * sunny)
    sky = (
        f"light_source {{ <0, 60, 0> rgb {vec(*(1.15 * fill * c**2.2 for c in cool))}"
        f" area_light 90*x, 90*z, 2, 1 jitter rotate y*{r.uniform(0, 180):.3g} }}\n"
        f"light_source {{ <{r.uniform(-50, 50):.3g}, 25, {r.uniform(-50, 50):.3g}>"
        f" rgb {0.4 * fill:.3g} shadowless }}\n"
    )
    haze, zenith = shade(r, (0.62, 0.66, 0.55), 0.25), shade(r, (0.60, 0.72, 0.85), 0.15)
    far = shade(r, r.choice([(0.25, 0.36, 0.16), (0.42, 0.38, 0.28), (0.18, 0.24, 0.12)]), 0.25)
    dome = (
        "sky_sphere { pigment { gradient y pigment_map {"
        f" [0.02 color {srgb(far)}] [0.14 bozo color_map {{ [0.2 {srgb(far)}] [0.9 {srgb(haze)}] }}"
        f" scale 0.12] [0.5 color {srgb(zenith)}] }} }} }}\n"
    )
    return sun + sky + dome


def between(r: random.Random, view: View, goal: Vector) -> str:
    """Return a blade of grass or a leaf's edge that hides a part of an insect from the camera."""
    share = r.uniform(0.15, 0.5)
    spread = r.uniform(0.2, 0.75) * r.choice([-1, 1])
    line = [b - a for a, b in zip(goal, view.place, strict=True)]
    flat = math.hypot(line[0], line[2]) or 1.0
    aside = (-line[2] / flat, 0.0, line[0] / flat)
    middle = [g + share * d + spread * a for g, d, a in zip(goal, line, aside, strict=True)]
    lean = r.uniform(-1, 1)
    reach = [4 * (lean * a + u) for a, u in zip(aside, (0, 1, 0), strict=True)]
    root = [m - d for m, d in zip(middle, reach, strict=True)]
    tip = [m + d for m, d in zip(middle, reach, strict=True)]
    return blade(r, tuple(root), tuple(tip), r.uniform(0.18, 0.6), plant_color(r))


# ---- scenes and pictures -------------------------------------------------------------------------


def unseen(insect: str) -> str:
    """Hide an insect from the camera; its shadow and its reflections stay."""
    before, union, bodies = insect.partition("union {")
    return f"{before}union {{\n{union}{bodies}\nno_image }}"


def scene(picture: Picture, *, seen: bool = True) -> str:
    """Describe a picture's scene. Only the call of `ant` or `bee` depends on the class.

    seen: whether the camera sees the insects.
    """
    r = picture.random()
    kind = GROUNDS[picture.number % len(GROUNDS)]
    view = choose_view(r)
    text = [VERSION, MACROS, LIMB, view.text(), light(r), build_ground(kind, r), litter(r)]
    spots = [(0.0, 0.0), (r.uniform(1.6, 2.4), r.uniform(-2.6, 2.6)),
             (r.uniform(-2.4, -1.6), r.uniform(-2.6, 2.6))]  # fmt: skip
    crowd = r.choices([1, 2, 3], weights=[0.8, 0.14, 0.06])[0]
    hidden = r.random() < 0.2
    if hidden:
        text.append(between(r, view, (0.0, 0.4, 0.0)))
    build = {"ants": ant, "bees": bee}[picture.name]
    for x, z in spots[:crowd]:
        stance = Stance(x, z, r.uniform(0, 360), r.uniform(0.85, 1.1))
        insect = build(r, stance)
        text.append(insect if seen else unseen(insect))
    return "\n".join(text)


def pictures(seed: int) -> list[Picture]:
    """List all pictures of the set."""
    return [
        Picture(split, name, number, seed)
        for split, counts in COUNTS.items()
        for name, count in zip(CLASSES, counts, strict=True)
        for number in range(1, count + 1)
    ]


def place(picture: Picture, out: Path) -> Path:
    """Return a picture's file."""
    return out / picture.split / picture.name / f"{picture.name[:-1]}_{picture.number:04}.jpg"


def draw(picture: Picture) -> bytes:
    """Render a picture, as the content of a JPEG file."""
    content = io.BytesIO()
    image = trace_rays(scene(picture), str(picture), PIXELS)
    image.save(content, "JPEG", quality=QUALITY, optimize=True)
    return content.getvalue()


def write(rendered: Iterator[tuple[Picture, bytes]], out: Path) -> None:
    """Write pictures as they come; a file appears whole or not at all."""
    for picture, content in rendered:
        path = place(picture, out)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_bytes(content)
        half.replace(path)


def read(picture: Picture, out: Path) -> Image.Image:
    """Read a picture back."""
    with Image.open(place(picture, out)) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    rows = [
        [Picture("train", name, number, 0) for number in range(first, first + 10)]
        for first in (1, 11)
        for name in CLASSES
    ]
    run(__doc__.splitlines()[0], pictures, draw, write, read, sheet=(rows, 128))
