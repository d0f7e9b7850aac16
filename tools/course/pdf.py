"""The book as one PDF: the pages of the site, one behind the other, printed by Chromium.

Run after the site was built. Everything that is folded is open; the solutions of the exercises
stand at the end; links within the book lead to their page of the PDF. The pages are counted in a
first pass, so that the table of contents can name them.
"""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Error, Playwright, sync_playwright
from pypdf import PdfReader

from tools.course.address import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PRINTED = "print.html"
TEMPLATE = """<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>{styles}
<link rel="stylesheet" href="_static/print.css"></head>
<body><header class="cover">{cover}</header>
<nav class="contents"><h1>Contents</h1><ol>{contents}</ol></nav>
<main class="bd-content">{pages}</main></body></html>
"""


def listed_pages(site: Path) -> list[tuple[str, str, str]]:
    """Return part, path and title of each page, in the order of the site's own list."""
    home = BeautifulSoup((site / "book" / "welcome.html").read_text("utf8"), "html.parser")
    found, part = [], ""
    for element in home.select("nav.bd-links p.caption, nav.bd-links a.reference.internal"):
        if element.name == "p":
            part = element.get_text(strip=True)
        elif (path := element["href"]) not in ("#", "welcome.html"):
            page = os.path.normpath(f"book/{path}")
            found.append((part, page, element.get_text(" ", strip=True)))
    return found


def anchor(page: str, fragment: str = "") -> str:
    """Return the one id in the PDF of an id of a page."""
    return re.sub(r"[^\w-]", "_", f"{page.removesuffix('.html')}--{fragment}".rstrip("-"))


def moved(tag: Tag, attribute: str, page: str) -> None:
    """Let a link or a picture of a page lead to the same from the folder above."""
    address = urlsplit(tag[attribute])
    if address.scheme or address.netloc:
        return
    target = os.path.normpath(os.path.join(os.path.dirname(page), address.path))
    target = page if not address.path else target.replace(os.sep, "/")
    if attribute == "href" and target.endswith(".html"):
        tag[attribute] = "#" + anchor(target, address.fragment)
    else:
        tag[attribute] = target


def article_of(site: Path, page: str) -> Tag:
    """Return the article of a page, ready to stand among the others."""
    soup = BeautifulSoup((site / page).read_text("utf8"), "html.parser")
    article = soup.find("article")
    for tag in article.select("script, .headerlink, button, noscript, .film .controls"):
        tag.decompose()
    for tag in article.select("#exercise-content, #solution-content"):
        del tag["id"]  # each of them has the same one
    for tag in article.find_all(id=True):
        tag["id"] = anchor(page, tag["id"])
    for attribute in ("href", "src"):
        for tag in article.find_all(attrs={attribute: True}):
            moved(tag, attribute, page)
    for tag in article.find_all("details"):
        tag["open"] = ""
    article["id"] = anchor(page)
    return article


def take_solutions(article: Tag) -> list[Tag]:
    """Take the solutions out of a page, each under a heading, with a note where it stood."""
    found = []
    for solution in article.select("div.solution"):
        title = solution.find(class_="admonition-title")
        note = BeautifulSoup('<p class="moved"></p>', "html.parser").p
        note.string = "Its solution is at the end of the book."
        solution.replace_with(note)
        if title:
            title.name = "h3"
        found.append(solution)
    return found


def compose(site: Path, numbers: dict[str, int]) -> str:
    """Return all pages as one, with the numbers of the PDF's pages in the table of contents."""
    entries, articles, solutions, part_before = [], [], [], None
    for part, page, title in listed_pages(site):
        article = article_of(site, page)
        if found := take_solutions(article):
            solutions.append(f"<h2>{title}</h2>" + "".join(map(str, found)))
        if part != part_before:
            entries.append(f'<li class="part">{part}</li>')
            part_before = part
        place = anchor(page)
        number = numbers.get(place, "")
        entries.append(f'<li><a href="#{place}">{title}</a><span>{number}</span></li>')
        articles.append(str(article))
    end = '<article class="bd-article" id="solutions"><h1>Solutions</h1>{}</article>'
    articles.append(end.format("".join(solutions)))
    number = numbers.get("solutions", "")
    entries.append(f'<li><a href="#solutions">Solutions</a><span>{number}</span></li>')
    home = BeautifulSoup((site / "book" / "welcome.html").read_text("utf8"), "html.parser")
    sheets = [link for link in home.select("link[rel=stylesheet]") if "icons" not in link["href"]]
    for link in sheets:
        moved(link, "href", "book/welcome.html")
    return TEMPLATE.format(
        title="Transfer Learning, hands on", styles="".join(map(str, sheets)), cover=cover_of(home),
        contents="".join(entries), pages="".join(articles),
    )  # fmt: skip


def cover_of(home: Tag) -> str:
    """Return the cover: the face of the landing page."""
    image, promise, made = (home.select_one(name) for name in ("img.face", ".promise", ".made"))
    image["src"] = os.path.normpath(f"book/{image['src']}")
    return (
        f"{image}<h1>Transfer Learning,<br>hands on</h1><p>{promise.get_text()}</p>"
        f"<p class='made'>{made.get_text()}</p>"
    )


def count_pages_of(reader: PdfReader) -> dict[str, int]:
    """Return the number of the page that each anchor is on."""
    return {
        name.lstrip("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def launch(playwright: Playwright, **options) -> Browser:
    """Start Chromium or Chrome: the one on the path, or where Chrome is usually installed."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    where = {"executable_path": path} if path else {"channel": "chrome"}
    try:
        return playwright.chromium.launch(**where, **options)
    except Error as error:
        text = "This needs a browser that starts: install Chromium or Google Chrome."
        raise SystemExit(f"{text}\n{error}") from error


def main(site: Path, out: Path) -> int:
    """Print the site in the folder `site` into the file `out`."""
    if not (site / "book" / "welcome.html").is_file():
        raise SystemExit(f"There is no site in {site}: `make book` first.")
    shutil.copy(ROOT / "book" / "static" / "print.css", site / "_static" / "print.css")
    path, aside = site / PRINTED, out.with_suffix(".part")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        numbers: dict[str, int] = {}
        try:
            for _ in range(2):  # the second time with the numbers that the first one gave
                path.write_text(compose(site, numbers), "utf8")
                page.goto(path.resolve().as_uri())
                page.emulate_media(media="print", color_scheme="light")
                page.pdf(path=aside, prefer_css_page_size=True, print_background=True,
                         outline=True, tagged=True)  # fmt: skip
                numbers = count_pages_of(PdfReader(aside))
        finally:
            browser.close()
            path.unlink(missing_ok=True)
    aside.replace(out)
    print(f"written: {out}, {len(PdfReader(out).pages)} pages")
    return 0
