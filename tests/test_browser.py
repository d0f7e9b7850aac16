"""What only a browser can tell: the notebooks in JupyterLab, and the pages of the site."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import WAIT, axe_finds_nothing, other_hosts, wait_for_pictures
from bs4 import BeautifulSoup
from conftest import ROOT, chapters, save_picture
from playwright.sync_api import expect

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
BROKEN = "images => images.filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab as `make lab` does, on a copy; return its address and its key.

    Nothing of whoever runs the tests is read or written: settings and keys lie elsewhere.
    """
    root, own = tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("jupyter")
    for folder in ("book", "notebooks"):
        shutil.copytree(ROOT / folder, root / folder)
    settings = own / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)  # all cells at once, and not only those in view
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    env = {name: os.environ[name] for name in os.environ if not name.startswith("JUPYTER")}
    for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        env[f"JUPYTER_{name}"] = str(own / name.lower())
    env["JUPYTERLAB_SETTINGS_DIR"] = str(own / "settings")
    env["JUPYTERLAB_WORKSPACES_DIR"] = str(own / "workspaces")
    env["IPYTHONDIR"] = str(own / "ipython")
    command = [sys.executable, "-m", "jupyterlab", "--config", "book/lab/config.py"]
    command += ["--no-browser", "--ServerApp.allow_root=True"]
    with (own / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + WAIT / 1000
        while not (said := list((own / "runtime_dir").glob("jpserver-*.json"))):
            assert server.poll() is None and time.monotonic() < deadline, (own / "log").read_text()
            time.sleep(0.2)
        server_info = json.loads(said[0].read_text("utf8"))
        yield server_info["url"].rstrip("/"), server_info["token"]
    finally:
        server.terminate()  # and with it the kernels
        server.wait(WAIT / 1000)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_is_whole_in_jupyterlab(page, lab, name):
    address, key = lab
    path = "/"  # where the first chapter opens by itself
    if name != NOTEBOOKS[0]:
        path = f"/lab/workspaces/{name[:2]}/tree/notebooks/{name}"
    page.set_viewport_size({"width": 1300, "height": 1200})
    page.goto(f"{address}{path}?token={key}")
    page.wait_for_selector(".jp-Notebook .jp-MarkdownCell h1")
    assert urlsplit(page.url).path.endswith(f"/tree/notebooks/{name}")
    notebook = json.loads((ROOT / "notebooks" / name).read_text("utf8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    expect(page.locator(".jp-MarkdownCell.jp-mod-rendered")).to_have_count(len(cells))
    source = "\n".join("".join(cell["source"]) for cell in cells)
    num_figures = len(re.findall(r"^:+\{(?:figure|image)\}|!\[[^]]*\]\(", source, re.M))
    expect(page.locator(".jp-MarkdownCell img")).to_have_count(num_figures)
    wait_for_pictures(page, ".jp-Notebook img")
    assert page.eval_on_selector_all(".jp-Notebook img", BROKEN) == []

    # Figures of cells, unless folded. A notebook that nobody has trusted shows no SVG, but its PNG.
    shown = [
        cell
        for cell in notebook["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        and not cell["metadata"].get("jupyter", {}).get("outputs_hidden")
    ]
    pictures = page.locator(".jp-OutputArea-output.jp-RenderedImage img")
    expect(pictures).to_have_count(len(shown))

    prose = "\n".join(page.locator(".jp-MarkdownCell").all_inner_texts())
    for raw in (":::", "{cite", "{ref}", "{numref}", "Unknown Directive"):
        assert raw not in prose, raw
    # References that are not known. Each cell is rendered again when the others are.
    expect(page.locator(".jp-Notebook [title$='Not Found']")).to_have_text([], timeout=20_000)

    links = page.eval_on_selector_all(
        ".jp-MarkdownCell a",
        "links => links.map(a => [a.innerText, a.getAttribute('href')])",
    )
    for text, href in links:
        parts = urlsplit(href)
        if parts.netloc == urlsplit(page.url).netloc:
            path = unquote(parts.path).removeprefix("/files/")
            assert (ROOT / path).is_file(), f"{text}: {href}"
        else:  # an address relative to the page of JupyterLab would leave the notebook
            assert parts.netloc or href.startswith("#"), f"{text}: {href}"
            assert href != "#", f"{text} leads nowhere"

    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    assert other_hosts(page, urlsplit(page.url).netloc) == []


def test_jupyterlab_need_not_ask_about_news(lab):
    address, key = lab
    path = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
    with urlopen(f"{address}{path}?token={key}", timeout=WAIT / 1000) as answer:
        settings = json.load(answer)["schema"]["properties"]
    assert settings["fetchNews"]["default"] == "false"
    assert settings["checkForUpdates"]["default"] is False


@pytest.mark.parametrize("chapter", chapters())
def test_a_page_is_whole_on_every_screen(page, site, chapter):
    for width, schemes in ((1400, ("light", "dark")), (390, ("dark", "light"))):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=schemes[0])
        page.goto((site / f"{chapter}.html").as_uri())
        for scheme in schemes:  # the page follows while it is open
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(
                "scheme => document.documentElement.dataset.theme === scheme", arg=scheme
            )
            wait_for_pictures(page, "img")
            screen = f"{width} pixels, {scheme}"
            assert page.eval_on_selector_all("img", BROKEN) == [], screen
            needed = page.evaluate("document.documentElement.scrollWidth")
            assert needed <= width, f"{screen}: {needed} wide"
    assert page.errors == []
    assert {urlsplit(url).scheme for url in page.asked} <= {"file", "data", "blob"}
    assert other_hosts(page, "") == []


SLIDES = [name.removesuffix(".ipynb") for name in NOTEBOOKS]


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_search_finds_a_section_and_shows_its_words(page, addresses, scheme):
    page.goto(f"{addresses[scheme]}/search.html?q=batchnorm")
    first = page.locator("#book-search-results li").first
    assert first.locator("a").inner_text().startswith(("BatchNorm", "fine_tune BatchNorm"))
    expect(page.locator("#book-search-results mark").first).to_be_visible()
    page.locator("#book-search").fill("run the backbone once")
    link = page.locator("#book-search-results li a").first
    expect(link).to_have_text("Run the backbone once")
    link.click()
    expect(page.locator("section#run-the-backbone-once h2")).to_be_visible()
    page.goto(f"{addresses[scheme]}/search.html")
    page.locator("#book-search").fill("zzzz qqqq")
    expect(page.locator("#book-search-status")).to_contain_text("Nothing in the book")
    assert page.errors == [] and other_hosts(page, urlsplit(addresses[scheme]).netloc) == []


def test_the_button_of_the_search_leads_to_it(page, addresses):
    page.goto(f"{addresses['file']}/book/welcome.html")
    page.get_by_role("button", name="Search").first.click()
    page.locator("#pst-search-dialog input").fill("augmentation")
    page.keyboard.press("Enter")
    expect(page.locator("#book-search-results li").first).to_contain_text("augmentation")
    assert page.errors == []


def test_a_link_to_a_term_says_what_it_means(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/03_cifar10_feature_extraction.html")
    for kind, words in (("glossary.html#term-augmentation", "Random changes to a training picture"),
                        ("helpers.html#helpers.metrics.predict", "predict("),
                        ("references.html#ref-krizhevsky2009", "Krizhevsky")):  # fmt: skip
        link = page.locator(f"article a[href$='{kind}']").first
        link.focus()
        tip = page.locator(".tippy-box")
        expect(tip).to_contain_text(words)
        assert link.get_attribute("aria-describedby")
        page.keyboard.press("Escape")
        page.locator("article h1").click()
        expect(tip).to_have_count(0)
    assert page.errors == []


@pytest.mark.parametrize("chapter", SLIDES)
def test_slides_fit_the_projector(page, addresses, chapter):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{addresses['file']}/slides/{chapter}.html")
    page.wait_for_function("() => window.Reveal && Reveal.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") > 15
    too_large = page.evaluate(
        """() => {
            const found = [];
            for (const slide of Reveal.getSlides()) {
                const { h, v } = Reveal.getIndices(slide);
                Reveal.slide(h, v);
                const wide = [...slide.querySelectorAll("img, table, pre")]
                    .some(block => block.scrollWidth > 1200);
                if (slide.scrollHeight > 721 || wide)
                    found.push([h, v, slide.scrollHeight, slide.innerText.slice(0, 60)]);
            }
            return found;
        }"""
    )
    assert too_large == []
    assert page.eval_on_selector_all("img", BROKEN) == []
    assert page.errors == [] and other_hosts(page, "") == []


def test_pages_can_be_read_without_javascript(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "notebooks" / "02_train_and_test.html").as_uri())
    expect(page.locator("article math").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Main").get_by_text("Glossary")).to_be_visible()
    for box in page.locator("article .admonition.answer > p, article .solution > p").all():
        expect(box).to_be_visible()  # nothing stays folded that only a script can open
    context.close()


def test_a_solution_is_named_by_its_exercise(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/03_cifar10_feature_extraction.html")
    buttons = page.locator(".solution > .admonition-title > button.toggle-button")
    names = [button.get_attribute("aria-label") for button in buttons.all()]
    assert len(names) == len(set(names)) == 4 and all("Exercise" in name for name in names)
    buttons.first.focus()
    assert buttons.first.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert buttons.first.get_attribute("aria-expanded") == "true"


# ---- what moves ----------------------------------------------------------------------------------

EXPLORERS = {  # and films, by chapter
    "01_theory": ["After which stage"],
    "03_cifar10_feature_extraction": ["Method A is right"],
    "04_ants_bees_finetuning": ["Usually a crop", "Epoch", "The model is "],
    "05_frozen_backbone": [
        "Batches seen", "Step", "Only 5 training pictures", "244 rendered pictures",
    ],
}  # fmt: skip


def visible_settings(explorer):
    return explorer.evaluate(
        """explorer => [...explorer.querySelectorAll(".view")]
            .filter(view => view.offsetParent !== null).map(view => view.dataset.setting)"""
    )


def stored_view(chapter, words, setting):
    """Return what a chapter's stored output has for a setting of the explorer with these words."""
    notebook = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text("utf8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    pages = ["".join(o["data"]["text/html"]) for o in outputs if "text/html" in o.get("data", {})]
    (page,) = [p for p in pages if 'class="explorer' in p and words in p]
    soup = BeautifulSoup(page, "html.parser")
    source = soup.select_one(f'[data-setting="{setting}"]')
    return source.string if source.name == "script" else source.decode_contents()


@pytest.mark.parametrize("scheme", ["file", "http"])
@pytest.mark.parametrize("chapter", EXPLORERS)
def test_an_explorer_asks_first_and_shows_what_is_chosen(page, addresses, chapter, scheme):
    page.goto(f"{addresses[scheme]}/notebooks/{chapter}.html")
    explorers = page.locator(".explorer:has(.control)")
    expect(explorers).to_have_count(len(EXPLORERS[chapter]))
    for explorer, words in zip(explorers.all(), EXPLORERS[chapter], strict=True):
        assert words in explorer.inner_text()
        if explorer.locator(".guess").count():
            assert visible_settings(explorer) == []
            guesses = explorer.locator(".guess label")
            assert explorer.locator(".sure").is_disabled()
            guesses.last.click()
            assert visible_settings(explorer) == []
            explorer.locator(".sure").click()
            expect(explorer.locator(".guess input").first).to_be_disabled()
            assert f"Your guess: {guesses.last.inner_text()}." in explorer.inner_text()
        controls = explorer.locator(".control")
        seen = set()
        for i, control in enumerate(controls.all()):
            (before,) = visible_settings(explorer)
            if control.locator("input[type=range]").count():
                slider = control.locator("input")
                slider.focus()
                page.keyboard.press("End")
                chosen = slider.get_attribute("max")
                texts = json.loads(slider.get_attribute("data-texts"))
                assert control.locator(".at").inner_text() == texts[-1]
                assert slider.get_attribute("aria-valuetext") == texts[-1]
            else:
                control.locator("label").last.click()
                chosen = control.locator("input").last.get_attribute("value")
            expected = before.split()
            expected[i] = chosen
            assert visible_settings(explorer) == [" ".join(expected)]
            stored = BeautifulSoup(stored_view(chapter, words, " ".join(expected)), "html.parser")
            shown = BeautifulSoup(explorer.locator(".view").inner_html(), "html.parser")
            assert shown.get_text() == stored.get_text()
            assert [i["src"] for i in shown("img")] == [i["src"] for i in stored("img")]
            seen |= {before, *visible_settings(explorer)}
        assert len(seen) > 1
    assert page.errors == [] and other_hosts(page, urlsplit(addresses["http"]).netloc) == []


def test_an_explorer_works_by_keyboard(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/03_cifar10_feature_extraction.html")
    explorer = page.locator(".explorer")
    explorer.locator(".guess input").first.focus()
    page.keyboard.press("ArrowRight")  # to the second of a group
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "Your guess: 1 time in 10." in explorer.inner_text()
    page.keyboard.press("Tab")
    (before,) = visible_settings(explorer)
    page.keyboard.press("ArrowRight")
    (after,) = visible_settings(explorer)
    assert int(after.split()[0]) == int(before.split()[0]) + 1


def test_a_film_is_still_until_it_is_played(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/04_ants_bees_finetuning.html")
    film = page.locator(".film")
    page.wait_for_timeout(800)
    assert visible_settings(film) == ["0"]
    button = film.locator("button.play")
    button.click()
    expect(button).to_have_text("Pause")
    expect(film.locator(".view")).not_to_have_attribute("data-setting", "0")
    button.click()
    expect(button).to_have_text("Play")
    (still,) = visible_settings(film)
    page.wait_for_timeout(800)
    assert visible_settings(film) == [still]


def test_a_film_for_who_wants_little_motion_goes_on_by_one(page, addresses):
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{addresses['file']}/notebooks/04_ants_bees_finetuning.html")
    film = page.locator(".film")
    button = film.get_by_role("button", name="Next")
    for frame in ("1", "2"):
        button.click()
        assert visible_settings(film) == [frame]
    page.wait_for_timeout(800)
    assert visible_settings(film) == ["2"]


def test_a_point_of_the_map_shows_its_picture(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/05_frozen_backbone.html")
    explorer = page.locator(".explorer:has(.map)")
    explorer.locator(".guess label").first.click()
    explorer.locator(".sure").click()
    point = explorer.locator(".map .point").first
    expect(point.locator("span")).to_be_hidden()
    point.hover()
    expect(point.locator("span")).to_be_visible()
    assert "data:image/webp" in point.locator("span").evaluate(
        "span => getComputedStyle(span).backgroundImage"
    )
    point.focus()
    for key, shown in (("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        expect(explorer.locator(".map .point").nth(shown)).to_be_focused()
        expect(explorer.locator(".map .point").nth(shown).locator("span")).to_be_visible()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_quiz_says_why_by_keyboard(page, addresses, name):
    page.goto(f"{addresses['file']}/notebooks/{name.removesuffix('.ipynb')}.html")
    answers = page.locator("section#quiz details")
    assert answers.count() >= 9
    right = 0
    for answer in answers.all():
        summary, why = answer.locator("summary"), answer.locator(".sd-card-body, div").last
        expect(why).to_be_hidden()
        summary.focus()
        page.keyboard.press("Enter")
        expect(why).to_be_visible()
        text = answer.inner_text()
        assert ("Right." in text) != ("No." in text)
        right += "Right." in text
    assert right >= 3 and right * 3 == answers.count()
    assert page.errors == []


@pytest.mark.parametrize("chapter", chapters())
def test_nothing_stands_in_the_way_of_assistive_technology(page, site, chapter):
    page.goto((site / f"{chapter}.html").as_uri())
    for explorer in page.locator(".explorer:has(.guess)").all():
        explorer.locator(".guess label").first.click()
        explorer.locator(".sure").click()
    if chapter == "book/teach_yourself":
        page.locator("#teach td.right").first.wait_for()  # when the first head is trained
    axe_finds_nothing(page)


@pytest.mark.parametrize("other", ["search.html?q=head", "slides/04_ants_bees_finetuning.html"])
def test_nor_on_what_is_no_page_of_the_book(page, addresses, other):
    page.goto(f"{addresses['http']}/{other}")
    page.wait_for_load_state("networkidle")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(300)
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found] == []


OWN_PICTURE = """
import torch
from helpers import data, explorers
from helpers.models import resnet18
loaders = data.ants_bees(size=64, augment=False)
explorers.OwnPicture(resnet18(2), loaders, torch.device("cpu"))
"""


def test_a_picture_can_be_handed_over_in_jupyterlab(page, lab, tmp_path):
    address, key = lab
    cell = {"cell_type": "code", "execution_count": None, "id": "own", "metadata": {},
            "outputs": [], "source": OWN_PICTURE}  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4,
                "nbformat_minor": 5}  # fmt: skip
    request = Request(
        f"{address}/api/contents/own.ipynb?token={key}", method="PUT",
        data=json.dumps({"type": "notebook", "content": notebook}).encode(),
    )  # fmt: skip
    urlopen(request, timeout=WAIT / 1000).close()
    page.goto(f"{address}/lab/workspaces/own/tree/own.ipynb?token={key}")
    page.locator(".jp-CodeCell .cm-content").first.click()
    expect(
        page.locator(
            "[title*='Kernel status: Idle'], .jp-Notebook-ExecutionIndicator[data-status=idle]"
        ).first
    ).to_be_attached()
    page.keyboard.press("Shift+Enter")
    button = page.get_by_role("button", name="Choose a picture")
    save_picture(tmp_path / "mine.png", width=90, height=70)
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(tmp_path / "mine.png")
    expect(page.locator(".jp-OutputArea", has_text="with a probability of").first).to_be_visible()
    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(bad)
    expect(page.locator(".jp-OutputArea", has_text="notes.jpg: no picture").first).to_be_visible()
