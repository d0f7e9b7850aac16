"""The site: built without a warning, whole, and asking no other host for anything."""

import json
import re
import zipfile
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from conftest import chapters

from book._ext import edition, tables
from helpers import assets


@pytest.fixture(scope="session")
def pages(site):
    """Every page, parsed."""
    paths = [p for p in site.rglob("*.html") if not {"_static", "slides"} & set(p.parts)]
    return {path: BeautifulSoup(path.read_text("utf8"), "html.parser") for path in paths}


def test_every_chapter_has_its_page_and_title(site, pages):
    for chapter in chapters():
        page = pages[site / f"{chapter}.html"]
        assert page.find("h1"), chapter


def test_nothing_is_asked_of_another_host(pages):
    wanted = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
    for path, page in pages.items():
        for tag, attribute in wanted.items():
            for element in page.find_all(tag):
                address = element.get(attribute, "")
                assert not urlsplit(address).netloc, f"{path.name}: {address}"
        for view in page.find_all("script", type="text/html"):  # of an explorer
            for image in BeautifulSoup(view.text, "html.parser")("img"):
                assert image["src"].startswith("data:"), path.name
        for script in page.find_all("script", src=False, type=lambda kind: kind != "text/html"):
            assert "cdn" not in script.text and "unpkg" not in script.text, path.name


def test_the_corner_of_a_table_is_no_header():
    context = {"body": '<th class="head"></th><th class="head"><p></p></th><th class="head">a</th>'}
    tables.empty_corners(None, "page", "page.html", context, None)
    assert context["body"] == '<td></td><td></td><th class="head">a</th>'
    tables.empty_corners(None, "search", "search.html", {}, None)  # a page without a body


def test_every_page_says_which_edition_made_it(site, pages):
    for chapter in chapters():
        footer = pages[site / f"{chapter}.html"].find("footer", class_="bd-footer-content")
        for name in assets.PHOTOS:
            summary = assets.RENDERED[name].summary
            assert f"{summary} (rendered)" in " ".join(footer.text.split()), chapter


def test_the_photographic_edition_runs_the_notebooks_and_says_so(monkeypatch):
    monkeypatch.setenv("EDITION", "photos")
    monkeypatch.setattr(assets, "has_photographs", lambda name: name == "ants_bees")
    config = SimpleNamespace(html_theme_options={}, nb_execution_mode="off")
    edition.say_edition(None, config)
    assert config.nb_execution_mode == "force" and config.nb_execution_raise_on_error
    for place in ("announcement", "extra_footer"):
        text = config.html_theme_options[place]
        assert (
            "photographs of ants and bees (photos)" in text and "Tiny ImageNet (rendered)" in text
        )
    monkeypatch.setattr(assets, "has_photographs", lambda name: False)
    with pytest.raises(FileNotFoundError, match="make data"):
        edition.say_edition(None, config)


def test_own_styles_ask_nothing_of_another_host(site):
    for name in ("book.css", "explorers.css"):
        style = (site / "_static" / name).read_text()
        assert "url(" not in style and "@import" not in style


def test_formulas_are_mathml_and_need_no_script(site, pages):
    page = pages[site / "notebooks" / "02_train_and_test.html"]
    assert page.find("math").find("mi")
    assert not re.search(r"\\ln|\$", page.find("article").get_text())
    assert not [s for s in page.find_all("script", src=True) if "mathjax" in s["src"].lower()]


def weight(site, path, page):
    """Return the bytes of a page and of the scripts and styles that it loads."""
    tags = page.find_all("script", src=True) + page.find_all("link", rel="stylesheet")
    files = {(path.parent / urlsplit(tag.get("src") or tag["href"]).path).resolve() for tag in tags}
    assert all(file.is_file() for file in files), path.name
    return path.stat().st_size + sum(file.stat().st_size for file in files)


def test_no_page_is_heavy_before_its_pictures(site, pages):
    for path, page in pages.items():
        # a network; all sections of the book; files of the site's own address
        if path.stem in ("teach_yourself", "search", "404"):
            continue
        inline = sum(len(image["src"]) for image in page.select("img[src^='data:']"))
        views = sum(len(view.text) for view in page.find_all("script", type="text/html"))
        assert weight(site, path, page) - inline - views < 1_500_000, path.name


def test_the_icons_that_pages_use_are_drawn(site, pages):
    style = (site / "_static" / "icons.css").read_text("utf8")
    for path, page in pages.items():
        assert "fontawesome.js" not in str(page)
        for icon in page.select("[class*='fa-']"):
            names = {name for name in icon["class"] if name.startswith("fa-")}
            drawn = {name for name in names if f".{name} {{" in style}
            assert drawn, f"{path.name}: {names}"


def test_the_search_knows_sections_terms_and_functions(site):
    text = (site / "_static" / "parts.js").read_text("utf8")
    parts = json.loads(text.removeprefix("window.PARTS = ").rstrip(";\n"))
    titles = {part["url"]: part["title"] for part in parts}
    assert titles["book/glossary.html#term-BatchNorm"] == "BatchNorm"
    assert titles["book/helpers.html#helpers.training.fit"] == "training.fit"
    assert not [p["url"] for p in parts if "[source]" in p["text"] or "Right." in p["text"]]
    (_, section) = [p for p in parts if p["title"] == "Run the backbone once"]  # and the guide
    assert section["url"].startswith("notebooks/03_") and "512 numbers" in section["text"]


def test_without_an_address_there_are_no_buttons_that_lead_nowhere(pages):
    for path, page in pages.items():
        header = page.find(class_="article-header-buttons")
        links = header.find_all("a", href=True) if header else []
        assert not [a["href"] for a in links if urlsplit(a["href"]).netloc], path.name


def test_archives_lie_beside_the_pages(site):
    with zipfile.ZipFile(site / "transfer-learning-hands-on.zip") as course:
        names = course.namelist()
        for name in ("Makefile", "pyproject.toml", "helpers/training.py", "_config.yml"):
            assert f"transfer-learning-hands-on/{name}" in names
        assert not [name for name in names if "_build" in name or "/.git/" in name]
    with zipfile.ZipFile(site / "notebooks.zip") as chapters:
        assert len(chapters.namelist()) == 6
    for copy in (site / "_sources" / "notebooks").glob("*.ipynb"):
        assert ":::" not in copy.read_text("utf8")


def test_the_page_for_what_is_not_here_finds_its_styles_from_anywhere(pages, site):
    page = pages[site / "404.html"]
    assert "not here" in page.find("article").h1.get_text()
    for link in page.select("link[rel=stylesheet]"):
        assert link["href"].startswith("/"), link["href"]


def test_every_page_describes_itself_and_says_when_it_was_changed(pages, site):
    for chapter in chapters():
        page = pages[site / f"{chapter}.html"]
        description = page.find("meta", attrs={"name": "description"})["content"]
        assert len(description) > 50, chapter


def test_every_picture_of_a_page_has_alternative_text_and_is_there(site, pages):
    for chapter in chapters():
        path = site / f"{chapter}.html"
        for image in pages[path].select("article img"):
            caption = image.find_parent(class_="explorer") and image.parent.find("figcaption")
            alt = image.get("alt", "") or (caption.get_text() if caption else "")
            assert alt.strip() and not alt.endswith((".png", ".svg")), f"{chapter}: {image}"
            if not image["src"].startswith("data:"):
                assert (path.parent / unquote(image["src"])).resolve().is_file(), image["src"]


def test_every_link_within_the_site_leads_somewhere(site, pages):
    decks = {
        path: BeautifulSoup(path.read_text("utf8"), "html.parser")
        for path in (site / "slides").glob("*.html")
    }
    assert len(decks) == 6
    read = {site / f"{chapter}.html": pages[site / f"{chapter}.html"] for chapter in chapters()}
    for path, page in (read | decks).items():
        for link in page.select("article a[href], .slides a[href]"):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link['href']}"
            if parts.fragment and target.suffix == ".html":
                found = pages[target].find(id=unquote(parts.fragment))
                assert found, f"{path.name}: {link['href']}"


def test_no_directive_was_left_as_text(pages):
    for path, page in pages.items():
        article = page.find("article")
        for code in article.find_all(["pre", "code"]) if article else []:
            code.extract()
        text = article.get_text() if article else ""
        assert ":::" not in text and "{ref}" not in text and "{cite" not in text, path.name
