"""The site: built without a warning, whole, and asking no other host for anything."""

from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import edition
import pytest
import tables
from bs4 import BeautifulSoup
from conftest import chapters

from helpers import assets


@pytest.fixture(scope="session")
def pages(site):
    """Every page, parsed."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
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


def test_no_chapter_is_heavy(site):
    for chapter in chapters():
        assert (site / f"{chapter}.html").stat().st_size < 1_500_000, chapter


def test_every_page_says_which_edition_made_it(site, pages):
    for chapter in chapters():
        footer = pages[site / f"{chapter}.html"].find("footer", class_="bd-footer-content")
        for asset in assets.RENDERED.values():
            assert f"{asset.summary} (rendered)" in " ".join(footer.text.split()), chapter


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


def test_mathjax_is_served_from_the_site_where_there_is_a_formula(site, pages):
    page = pages[site / "notebooks" / "02_train_and_test.html"]
    assert page.find(class_="math")
    (script,) = [s for s in page.find_all("script", src=True) if "mathjax" in s["src"]]
    assert (site / "notebooks" / urlsplit(script["src"]).path).resolve().is_file()


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
    for chapter in chapters():
        path = site / f"{chapter}.html"
        for link in pages[path].select("article a[href]"):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{chapter}: {link['href']}"
            if parts.fragment and target.suffix == ".html":
                found = pages[target].find(id=unquote(parts.fragment))
                assert found, f"{chapter}: {link['href']}"


def test_no_directive_was_left_as_text(pages):
    for path, page in pages.items():
        article = page.find("article")
        for code in article.find_all(["pre", "code"]) if article else []:
            code.extract()
        text = article.get_text() if article else ""
        assert ":::" not in text and "{ref}" not in text and "{cite" not in text, path.name
