"""The book as one PDF: the pages of the site, one behind the other, printed by Chromium.

Run after the site was built. Everything that is folded is open; the solutions of the exercises
stand at the end; links within the book lead to their page of the PDF. The pages are counted in a
first pass, so that the table of contents can name them.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader

from helpers.runtime import atomic_write
from tools.course.address import ROOT

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)  # fmt: skip
PRINTED = "print.html"
NOTE = '<p class="moved">Its solution is at the end of the book.</p>'
HOME = "book/welcome.html"
TEMPLATE = """<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>Transfer Learning, hands on</title>{styles}
<link rel="stylesheet" href="_static/print.css"></head>
<body><header class="cover">{face}<h1>Transfer Learning,<br>hands on</h1>
<p>{promise}</p><p class="made">{made}</p></header>
<nav class="contents"><h1>Contents</h1><ol>{contents}</ol></nav>
<main class="bd-content">{pages}
<article class="bd-article" id="solutions"><h1>Solutions</h1>{solutions}</article>
</main></body></html>
"""


def read(site: Path, path: str) -> BeautifulSoup:
    """Read a page; its links and pictures lead from the folder of the site, or to an anchor."""
    soup = BeautifulSoup((site / path).read_text("utf8"), "html.parser")
    for attribute in ("href", "src"):
        for tag in soup.select(f"[{attribute}]"):
            tag[attribute] = moved(str(tag[attribute]), path)
    return soup


def moved(link: str, path: str) -> str:
    """Return where a link of a page leads: `#` and an anchor, if to a page of the book."""
    address = urlsplit(link)
    if address.scheme or address.netloc:
        return link
    target = os.path.normpath(os.path.join(os.path.dirname(path), address.path))
    target = target.replace(os.sep, "/") if address.path else path
    return f"#{anchor(target, address.fragment)}" if target.endswith(".html") else target


def anchor(path: str, fragment: str = "") -> str:
    """Return the one id in the PDF of an id of a page."""
    return re.sub(r"[^\w-]", "_", f"{path.removesuffix('.html')}--{fragment}".rstrip("-"))


def listed_pages(site: Path) -> list[tuple[str, str, str]]:
    """Return part, path and title of each page, in the order of the site's own list."""
    soup = BeautifulSoup((site / HOME).read_text("utf8"), "html.parser")
    found, part = [], ""
    for element in soup.select("nav.bd-links p.caption, nav.bd-links a.reference.internal"):
        if element.name == "p":
            part = element.get_text(strip=True)
        elif (link := str(element["href"])) not in ("#", os.path.basename(HOME)):
            path = os.path.normpath(f"book/{link}").replace(os.sep, "/")
            found.append((part, path, element.get_text(" ", strip=True)))
    return found


def article_of(site: Path, path: str) -> Tag:
    """Return the article of a page, ready to stand among the others."""
    article = read(site, path).select("article")[0]
    for tag in article.select("script, .headerlink, button, noscript, .film .controls"):
        tag.decompose()
    for tag in article.select("#exercise-content, #solution-content"):
        del tag["id"]  # each of them has the same one
    for tag in article.find_all(id=True):
        tag["id"] = anchor(path, str(tag["id"]))
    for tag in article.find_all("details"):
        tag["open"] = ""
    article["id"] = anchor(path)
    return article


def take_solutions(article: Tag) -> str:
    """Take the solutions out of a page, each under a heading, with a note where it stood."""
    found = article.select("div.solution")
    for solution in found:
        solution.replace_with(BeautifulSoup(NOTE, "html.parser"))
        for title in solution.select(".admonition-title")[:1]:
            title.name = "h3"
    return "".join(map(str, found))


def compose(site: Path, numbers: dict[str, int]) -> str:
    """Return all pages as one, with the numbers of the PDF's pages in the table of contents."""
    contents, pages, solutions, part_before = "", "", "", ""
    for part, path, title in listed_pages(site):
        article = article_of(site, path)
        if found := take_solutions(article):
            solutions += f"<h2>{title}</h2>{found}"
        if part != part_before:
            part_before = part
            contents += f'<li class="part">{part}</li>'
        contents += entry(title, anchor(path), numbers)
        pages += str(article)
    contents += entry("Solutions", "solutions", numbers)
    home = read(site, HOME)
    face, promise, made = (home.select(name)[0] for name in ("img.face", ".promise", ".made"))
    sheets = [tag for tag in home.select("link[rel=stylesheet]") if "icons" not in tag["href"]]
    return TEMPLATE.format(
        styles="".join(map(str, sheets)), face=face, promise=promise.get_text(),
        made=made.get_text(), contents=contents, pages=pages, solutions=solutions,
    )  # fmt: skip


def entry(title: str, place: str, numbers: dict[str, int]) -> str:
    """Return a line of the table of contents."""
    return f'<li><a href="#{place}">{title}</a><span>{numbers.get(place, "")}</span></li>'


def find_browser() -> str:
    """Return the Chromium or Chrome of this system; exit where there is none."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise SystemExit("This needs a browser: install Chromium or Google Chrome.")


def print_page(page: Path, out: Path) -> None:
    """Print a page of this machine as a tagged PDF with an outline."""
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            find_browser(), "--headless", "--no-sandbox", f"--user-data-dir={profile}",
            "--no-pdf-header-footer", "--generate-pdf-document-outline",
            f"--print-to-pdf={out.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
    if not out.is_file():
        raise SystemExit(f"{command[0]} printed nothing:\n{done.stderr}")


def count_pages_of(reader: PdfReader) -> dict[str, int]:
    """Return the number of the page that each anchor is on."""
    return {
        name.lstrip("/"): 1 + (reader.get_destination_page_number(place) or 0)
        for name, place in reader.named_destinations.items()
    }


def main(site: Path, out: Path) -> int:
    """Print the site in the folder `site` into the file `out`."""
    if not (site / HOME).is_file():
        raise SystemExit(f"There is no site in {site}: `make book` first.")
    shutil.copy(ROOT / "book" / "static" / "print.css", site / "_static" / "print.css")
    page = site / PRINTED
    numbers: dict[str, int] = {}
    try:
        with atomic_write(out) as aside:
            for _ in range(2):  # the second time with the numbers that the first one gave
                page.write_text(compose(site, numbers), "utf8")
                print_page(page, aside)
                numbers = count_pages_of(PdfReader(aside))
    finally:
        page.unlink(missing_ok=True)
    print(f"written: {out}, {len(PdfReader(out).pages)} pages")
    return 0
