"""The book as a PDF: whole, numbered, its solutions at the end, its links leading somewhere."""

from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools.course import pdf
from tools.course.chapters import pages as book_pages


@pytest.fixture(scope="module")
def printed(site, tmp_path_factory):
    out = tmp_path_factory.mktemp("pdf") / "book.pdf"
    assert pdf.main(site, out) == 0
    assert not (site / pdf.PRINTED).exists() and not out.with_suffix(".part").exists()
    return PdfReader(out)


def test_every_page_is_in_it_once_and_the_solutions_stand_at_the_end(site, printed):
    soup = BeautifulSoup(pdf.compose(site, {}), "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    names = [f"{chapter}.html" for chapter in book_pages()[1:]]
    places = [pdf.anchor(name) for name in names]
    assert [article["id"] for article in soup.select("main > article")] == [*places, "solutions"]
    for link in soup.select("a[href^='#']"):
        place = link["href"][1:]
        assert place in ids or place.split("--")[0] not in places, place
    assert all("://" in link["href"] for link in soup.select("a[href*='.html']"))
    for tag in soup.select("img, link"):
        target = tag.get("href") or tag["src"]
        assert urlsplit(target).scheme or (site / target).is_file(), target

    solutions = soup.select("div.solution")
    there = sum((site / name).read_text("utf8").count('<div class="solution ') for name in names)
    assert len(solutions) == len(soup.select("p.moved")) == there > 0
    assert all(solution.find_parent(id="solutions") for solution in solutions)
    assert not soup.select("details:not([open])")


def test_the_contents_name_the_pages(printed):
    numbers = pdf.count_pages_of(printed)
    contents = "\n".join(printed.pages[i].extract_text() for i in (1, 2))
    for title, place in (("Glossary", "book_glossary"), ("Solutions", "solutions"),
                         ("Which backbone", "notebooks_06_which_backbone")):  # fmt: skip
        number = numbers[place]
        assert title in printed.pages[number - 1].extract_text()
        assert str(number) in contents[contents.index(title) :][: len(title) + 8]
    assert len(printed.pages) > 120 and printed.outline
    assert "hands on" in printed.pages[0].extract_text()
