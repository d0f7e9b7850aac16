"""What book/guide/ says on how to teach a chapter: for the page for teachers and for the slides."""

import tomllib

from tools.course.address import ROOT

FOLDER = ROOT / "book" / "guide"
PARTS = {
    "aim": "Aim",
    "predict": "Prediction to collect",
    "board": "At the board",
    "wrong": "What goes wrong",
    "projector": "With only a projector",
}


def read(number: int) -> dict:
    """Return what the guide says of a chapter."""
    return tomllib.loads((FOLDER / f"chapter_{number}.toml").read_text("utf8"))
