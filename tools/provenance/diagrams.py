"""Draw the chapters' diagrams as PNG, too: not all that opens a notebook shows SVG in its text.

    python -m tools.provenance.diagrams

Chromium draws them. Each PNG holds the SHA-256 of its SVG, so that a test sees when one is old.
"""

import hashlib
import re
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from tools.course.address import ROOT
from tools.course.chapters import chapters
from tools.course.pdf import find_browser

FIGURES = ROOT / "book" / "figures"


def in_chapters() -> list[Path]:
    """Return the diagrams that the chapters show."""
    text = "".join(path.read_text("utf8") for path in chapters())
    return [FIGURES / name for name in sorted(set(re.findall(r"figures/([\w-]+\.svg)", text)))]


def main() -> int:
    """Draw all of them a little larger than on the site: they are shown as large as they are."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser())
        page = browser.new_page(device_scale_factor=1.25)
        for figure in in_chapters():
            page.goto(figure.as_uri())
            drawn = figure.with_suffix(".png")
            page.locator("svg").screenshot(path=drawn)
            info = PngInfo()
            info.add_text("source", hashlib.sha256(figure.read_bytes()).hexdigest())
            with Image.open(drawn) as image:
                image.quantize(64).save(drawn, pnginfo=info, optimize=True)
            print(f"{drawn.name}: {drawn.stat().st_size / 1000:.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    main()
