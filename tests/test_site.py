"""The site: built without a warning, whole, and asking no other host for anything."""

import json
import re
import zipfile
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

from book._ext import edition, tables
from helpers import assets
from tools.course.chapters import pages as book_pages

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="session")
def pages(site):
    """Every page but the listings of the source, parsed."""
    left_out = {"_static", "slides", "_modules"}
    paths = [path for path in site.rglob("*.html") if not left_out & set(path.parts)]
    return {path: BeautifulSoup(path.read_text("utf8"), "html.parser") for path in paths}


def weight(site, path, page):
    """Return the bytes of a page and of the scripts and styles that it loads, without pictures."""
    tags = page.find_all("script", src=True) + page.find_all("link", rel="stylesheet")
    files = {(path.parent / urlsplit(tag.get("src") or tag["href"]).path).resolve() for tag in tags}
    assert all(file.is_file() for file in files), path.name
    inline = sum(len(image["src"]) for image in page.select("img[src^='data:']"))
    views = sum(len(view.text) for view in page.find_all("script", type="text/html"))
    return path.stat().st_size + sum(file.stat().st_size for file in files) - inline - views


def test_every_page_is_light_and_asks_no_other_host(site, pages):
    icons = (site / "_static" / "icons.css").read_text("utf8")
    for path, page in pages.items():
        for tag, attribute in LOADED.items():
            for element in page.find_all(tag):
                address = element.get(attribute, "")
                assert not urlsplit(address).netloc, f"{path.name}: {address}"
        for view in page.find_all("script", type="text/html"):  # of an explorer
            for image in BeautifulSoup(view.text, "html.parser")("img"):
                assert image["src"].startswith("data:"), path.name
        for script in page.find_all("script", src=False, type=lambda kind: kind != "text/html"):
            assert "cdn" not in script.text and "unpkg" not in script.text, path.name
        header = page.find(class_="article-header-buttons")  # without an address: nothing to open
        links = header.find_all("a", href=True) if header else []
        assert not [a["href"] for a in links if urlsplit(a["href"]).netloc], path.name
        for icon in page.select("[class*='fa-']"):
            names = {name for name in icon["class"] if name.startswith("fa-")}
            assert any(f".{name} {{ --icon" in icons for name in names), f"{path.name}: {names}"
        # a network; all sections of the book; files of the site's own address
        if path.stem not in ("teach_yourself", "search", "404"):
            assert weight(site, path, page) < 1_500_000, path.name
        prose = page.find_all(string=re.compile(r":::|\{ref\}|\{cite"))  # left as text
        assert all(text.find_parent(["pre", "code", "script"]) for text in prose), path.name
    styles = pages[site / "404.html"].select("link[rel=stylesheet]")
    assert all(link["href"].startswith("/") for link in styles)  # found from any address
    for name in ("book.css", "explorers.css", "icons.css"):
        style = (site / "_static" / name).read_text().replace('url("data:image/svg+xml,', "")
        assert "url(" not in style and "@import" not in style, name


def test_there_is_one_index_for_the_search(site):
    idle = ("searchindex.js", "_static/searchtools.js", "_static/scripts/fontawesome.js")
    assert not [name for name in idle if (site / name).exists()]
    text = (site / "_static" / "parts.js").read_text("utf8")
    parts = json.loads(text.removeprefix("window.PARTS = ").rstrip(";\n"))
    titles = {part["url"]: part["title"] for part in parts}
    assert titles["book/glossary.html#term-BatchNorm"] == "BatchNorm"
    assert titles["book/helpers.html#helpers.training.fit"] == "training.fit"
    assert not [p["url"] for p in parts if "[source]" in p["text"] or "Right." in p["text"]]
    (_, section) = [p for p in parts if p["title"] == "Run the backbone once"]  # and the guide
    assert section["url"].startswith("notebooks/03_") and "512 numbers" in section["text"]


def test_the_corner_of_a_table_is_no_header():
    context = {"body": '<th class="head"></th><th class="head"><p></p></th><th class="head">a</th>'}
    tables.empty_corners(None, "page", "page.html", context, None)
    assert context["body"] == '<td></td><td></td><th class="head">a</th>'


def test_the_photographic_edition_runs_the_notebooks_and_says_so(monkeypatch):
    monkeypatch.setenv("EDITION", "photos")
    monkeypatch.setattr(assets, "has_photographs", lambda name: name == "ants_bees")
    config = SimpleNamespace(html_theme_options={}, nb_execution_mode="off")
    edition.say_edition(None, config)
    assert config.nb_execution_mode == "force" and config.nb_execution_raise_on_error
    for place in ("announcement", "extra_footer"):
        text = config.html_theme_options[place]
        assert "photographs of ants and bees (photos)" in text
        assert "Tiny ImageNet (rendered)" in text
    monkeypatch.setattr(assets, "has_photographs", lambda name: False)
    with pytest.raises(FileNotFoundError, match="make data"):
        edition.say_edition(None, config)


def test_every_page_of_the_book_is_described_and_every_picture_too(site, pages):
    for chapter in book_pages():
        path = site / f"{chapter}.html"
        page = pages[path]
        assert page.find("h1"), chapter
        description = page.find("meta", attrs={"name": "description"})["content"]
        assert len(description) > 50, chapter
        footer = page.find("footer", class_="bd-footer-content").text
        for name in assets.PHOTOS:
            summary = assets.RENDERED[name].summary
            assert f"{summary} (rendered)" in " ".join(footer.split()), chapter
        for image in page.select("article img"):
            caption = image.find_parent(class_="explorer") and image.parent.find("figcaption")
            alt = image.get("alt", "") or (caption.get_text() if caption else "")
            assert alt.strip() and not alt.endswith((".png", ".svg")), f"{chapter}: {image}"
            if not image["src"].startswith("data:"):
                assert (path.parent / unquote(image["src"])).resolve().is_file(), image["src"]
    page = pages[site / "notebooks" / "02_train_and_test.html"]
    assert page.find("math").find("mi")  # formulas need no script
    assert not re.search(r"\\ln|\$", page.find("article").get_text())


def test_archives_lie_beside_the_pages(site):
    with zipfile.ZipFile(site / "transfer-learning-hands-on.zip") as course:
        names = course.namelist()
        for name in ("Makefile", "pyproject.toml", "helpers/training.py", "_config.yml"):
            assert f"transfer-learning-hands-on/{name}" in names
        assert not [name for name in names if "_build" in name or "/.git/" in name]
    with zipfile.ZipFile(site / "notebooks.zip") as archive:
        assert len(archive.namelist()) == len(NOTEBOOKS)
    for copy in (site / "_sources" / "notebooks").glob("*.ipynb"):
        assert ":::" not in copy.read_text("utf8")


def test_every_link_within_the_site_leads_somewhere(site, pages):
    decks = {
        path: BeautifulSoup(path.read_text("utf8"), "html.parser")
        for path in (site / "slides").glob("*.html")
    }
    assert len(decks) == len(NOTEBOOKS) - 1
    read = {site / f"{chapter}.html": pages[site / f"{chapter}.html"] for chapter in book_pages()}
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path, page in (read | decks).items():
        for link in page.select("article a[href], .slides a[href]"):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link['href']}"
            if parts.fragment and target in ids:
                assert unquote(parts.fragment) in ids[target], f"{path.name}: {link['href']}"
