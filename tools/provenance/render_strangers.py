"""Render toys that are neither ants nor bees, for the page "Teach it yourself".

    python -m tools.provenance.render_strangers

They are those of the ten classes, larger: the first test picture of some classes. Writes
`book/strangers`.
"""

from pathlib import Path

from tools.provenance.raytrace import Picture, trace_rays
from tools.provenance.render_cifar10 import scene

OUT = Path(__file__).parent.parent.parent / "book" / "strangers"
CLASSES = ("airplane", "automobile", "cat", "frog", "ship", "truck")
PIXELS = 160


def main() -> None:
    """Render a picture of each class."""
    OUT.mkdir(exist_ok=True)
    for name in CLASSES:
        picture = Picture("test", name, 1, 0)
        trace_rays(scene(picture), name, 3 * PIXELS).resize((PIXELS, PIXELS)).save(
            OUT / f"{name}.jpg", quality=90
        )


if __name__ == "__main__":
    main()
