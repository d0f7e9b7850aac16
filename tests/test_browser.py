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

import nbformat
import pytest
from browsing import WAIT, axe_finds_nothing, follow, other_hosts, violations, wait_for_pictures
from bs4 import BeautifulSoup
from conftest import ROOT, save_picture
from playwright.sync_api import expect

from tools.course.chapters import pages as book_pages

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
BROKEN = "images => images.filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"


def notebook_of(name):
    return json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf8"))


# ---- JupyterLab ----------------------------------------------------------------------------------


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
    command += ["--no-browser", "--ServerApp.allow_root=True", "--expose-app-in-browser"]
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


def chapter_is_whole(page, panel, name):
    """Ask all questions about the notebook that is open in the part `panel` of JupyterLab."""
    notebook = notebook_of(name)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    expect(panel.locator(".jp-MarkdownCell.jp-mod-rendered")).to_have_count(len(cells))
    source = "\n".join("".join(cell["source"]) for cell in cells)
    num_figures = len(re.findall(r"^:+\{(?:figure|image)\}|!\[[^]]*\]\(", source, re.M))
    expect(panel.locator(".jp-MarkdownCell img")).to_have_count(num_figures)
    wait_for_pictures(page, ".jp-Notebook img")
    assert panel.locator("img").evaluate_all(BROKEN) == [], name

    # Figures of cells, unless folded. A notebook that nobody has trusted shows no SVG, but its PNG.
    shown = [
        cell
        for cell in notebook["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        and not cell["metadata"].get("jupyter", {}).get("outputs_hidden")
    ]
    pictures = panel.locator(".jp-OutputArea-output.jp-RenderedImage img")
    expect(pictures).to_have_count(len(shown))

    prose = "\n".join(panel.locator(".jp-MarkdownCell").all_inner_texts())
    for raw in (":::", "{cite", "{ref}", "{numref}", "Unknown Directive"):
        assert raw not in prose, f"{name}: {raw}"
    # References that are not known. Each cell is rendered again when the others are.
    expect(panel.locator("[title$='Not Found']")).to_have_text([], timeout=20_000)

    links = panel.locator(".jp-MarkdownCell a").evaluate_all(
        "links => links.map(a => [a.innerText, a.getAttribute('href')])"
    )
    for text, href in links:
        parts = urlsplit(href)
        if parts.netloc == urlsplit(page.url).netloc:
            path = unquote(parts.path).removeprefix("/files/")
            assert (ROOT / path).is_file(), f"{name}: {text}: {href}"
        else:  # an address relative to the page of JupyterLab would leave the notebook
            assert parts.netloc or href.startswith("#"), f"{name}: {text}: {href}"
            assert href != "#", f"{name}: {text} leads nowhere"


def test_the_chapters_are_whole_in_jupyterlab(page, lab):
    address, key = lab
    page.set_viewport_size({"width": 1300, "height": 1200})
    page.goto(f"{address}/?token={key}")
    page.wait_for_selector(".jp-Notebook .jp-MarkdownCell h1")
    assert urlsplit(page.url).path.endswith(f"/tree/notebooks/{NOTEBOOKS[0]}.ipynb")
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    for name in NOTEBOOKS:
        path = f"notebooks/{name}.ipynb"
        page.evaluate(
            """path => void jupyterapp.commands.execute("docmanager:open",
                { path, kernelPreference: { shouldStart: false, canStart: false } })""",
            path,
        )
        page.wait_for_function(
            "path => jupyterapp.shell.currentWidget?.context?.path === path", arg=path
        )
        chapter_is_whole(page, panel, name)
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    assert other_hosts(page, urlsplit(page.url).netloc) == []

    path = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
    with urlopen(f"{address}{path}?token={key}", timeout=WAIT / 1000) as answer:
        settings = json.load(answer)["schema"]["properties"]
    assert settings["fetchNews"]["default"] == "false"
    assert settings["checkForUpdates"]["default"] is False


OWN_PICTURE = """
import torch
from helpers import data, explorers
from helpers.models import resnet18
loaders = data.ants_bees(size=64, augment=False)
explorers.OwnPicture(resnet18(2), loaders, torch.device("cpu"))
"""


def test_a_picture_can_be_handed_over_in_jupyterlab(page, lab, tmp_path):
    address, key = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(OWN_PICTURE)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "name": "python3"}
    body = json.dumps({"type": "notebook", "content": notebook}).encode()
    place = f"{address}/api/contents/own.ipynb?token={key}"
    urlopen(Request(place, method="PUT", data=body), timeout=WAIT / 1000).close()
    page.goto(f"{address}/lab/workspaces/own/tree/own.ipynb?token={key}")
    page.locator(".jp-CodeCell .cm-content").first.click()
    idle = "[title*='Kernel status: Idle'], .jp-Notebook-ExecutionIndicator[data-status=idle]"
    expect(page.locator(idle).first).to_be_attached()
    page.keyboard.press("Shift+Enter")
    button = page.get_by_role("button", name="Choose a picture")
    save_picture(tmp_path / "mine.png", width=90, height=70)
    (tmp_path / "notes.jpg").write_text("no picture")
    for name, said in (
        ("mine.png", "with a probability of"),
        ("notes.jpg", "notes.jpg: no picture"),
    ):
        with page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(tmp_path / name)
        expect(page.locator(".jp-OutputArea", has_text=said).first).to_be_visible()


# ---- every page of the site ----------------------------------------------------------------------


def open_what_is_folded(page):
    """Make the guesses of the explorers and answer the quiz, by keyboard; check what it says."""
    for explorer in page.locator(".explorer:has(.guess)").all():
        explorer.locator(".guess label").first.click()
        explorer.locator(".sure").click()
    answers = page.locator("section#quiz details").all()
    right = 0
    for answer in answers:
        summary, why = answer.locator("summary"), answer.locator(".sd-card-body, div").last
        assert not why.is_visible()
        summary.focus()
        page.keyboard.press("Enter")
        expect(why).to_be_visible()
        text = answer.inner_text()
        assert ("Right." in text) != ("No." in text)
        right += "Right." in text
    assert right * 3 == len(answers)
    return right


@pytest.mark.parametrize("chapter", book_pages())
def test_a_page_is_whole_on_every_screen_for_everybody(page, site, chapter):
    """Open a page once, and once on a phone, and ask all questions."""
    for width, schemes in ((1400, ("light", "dark")), (390, ("dark", "light"))):
        page.set_viewport_size({"width": width, "height": 900})
        # Without motion: while a theme changes, colors are neither the one nor the other.
        page.emulate_media(color_scheme=schemes[0], reduced_motion="reduce")
        page.goto((site / f"{chapter}.html").as_uri())
        if chapter == "book/teach_yourself":
            page.locator("#teach td.right").first.wait_for()  # when the first head is trained
        follow(page, schemes[0])
        wait_for_pictures(page, "img")
        assert page.eval_on_selector_all("img", BROKEN) == [], width
        needed = page.evaluate("document.documentElement.scrollWidth")
        assert needed <= width, f"{width} pixels: {needed} wide"
        right = open_what_is_folded(page)
        assert right >= 3 or chapter.removeprefix("notebooks/") not in NOTEBOOKS[1:]
        assert page.errors == []
        assert {urlsplit(url).scheme for url in page.asked} <= {"file", "data", "blob"}
        if width == 1400:
            axe_finds_nothing(page)
        follow(page, schemes[1])


@pytest.mark.parametrize("name", NOTEBOOKS[1:])
def test_slides_fit_the_projector(page, addresses, name):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{addresses['file']}/slides/{name}.html")
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
    if name == NOTEBOOKS[4]:
        assert violations(page) == []


def test_pages_can_be_read_without_javascript(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "notebooks" / "02_train_and_test.html").as_uri())
    expect(page.locator("article math").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Main").get_by_text("Glossary")).to_be_visible()
    for box in page.locator("article .admonition.answer > p, article .solution > p").all():
        expect(box).to_be_visible()  # nothing stays folded that only a script can open
    icon = page.locator(".article-header-buttons .fa-expand, .prev-next-area .fa-angle-right").last
    drawn = icon.evaluate("icon => [getComputedStyle(icon).maskImage, icon.offsetWidth]")
    assert drawn[0].startswith('url("data:image/svg+xml') and drawn[1] > 9
    context.close()


# ---- the search, and what links say --------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_search_finds_a_section_and_shows_its_words(page, addresses, scheme):
    page.goto(f"{addresses[scheme]}/book/welcome.html")
    page.get_by_role("button", name="Search").first.click()
    page.locator("#pst-search-dialog input").fill("batchnorm")
    page.keyboard.press("Enter")
    first = page.locator("#book-search-results li a").first
    expect(first).to_have_text(re.compile("^(fine_tune )?BatchNorm"))
    expect(page.locator("#book-search-results mark").first).to_be_visible()
    if scheme == "http":  # once is enough
        for color_scheme in ("light", "dark"):
            follow(page, color_scheme)
            assert violations(page) == []
    page.locator("#book-search").fill("zzzz qqqq")
    expect(page.locator("#book-search-status")).to_contain_text("Nothing in the book")
    page.locator("#book-search").fill("run the backbone once")
    link = page.locator("#book-search-results li a").first
    expect(link).to_have_text("Run the backbone once")
    link.click()
    expect(page.locator("section#run-the-backbone-once h2")).to_be_visible()
    assert page.errors == [] and other_hosts(page, urlsplit(addresses[scheme]).netloc) == []


SYMPTOMS = """loss nan; loss does not go down; nothing learns; loss flat; overfitting 100%; cuda
validation accuracy higher than training; different results every time; gpu not used; accelerator
out of memory; cuda out of memory; too slow; class folders; class missing; pictures refused
black images; model always predicts one class; imbalanced; state_dict error; missing keys
size mismatch; weights only load failed; run cell again worse; device-side assert; heic"""


def test_the_search_leads_from_a_symptom_to_what_to_do(page, addresses):
    page.goto(f"{addresses['file']}/search.html")
    for asked in re.split("[;\n] ?", SYMPTOMS):
        page.locator("#book-search").fill(asked)
        links = page.locator("#book-search-results li a").all()[:3]
        assert any("problems.html#" in link.get_attribute("href") for link in links), asked


def test_a_link_says_what_it_means_and_a_button_what_it_opens(page, addresses):
    page.goto(f"{addresses['file']}/notebooks/03_cifar10_feature_extraction.html")
    for kind, words in {
        "glossary.html#term-augmentation": "Random changes to a training picture",
        "helpers.html#helpers.metrics.predict": "predict(",
        "references.html#ref-krizhevsky2009": "Krizhevsky",
    }.items():
        link = page.locator(f"article a[href$='{kind}']").first
        link.focus()
        tip = page.locator(".tippy-box")
        expect(tip).to_contain_text(words)
        assert link.get_attribute("aria-describedby")
        page.keyboard.press("Escape")
        page.locator("article h1").click()
        expect(tip).to_have_count(0)

    buttons = page.locator(".solution > .admonition-title > button.toggle-button")
    names = [button.get_attribute("aria-label") for button in buttons.all()]
    assert len(names) == len(set(names)) == 5 and all("Exercise" in name for name in names)
    buttons.first.focus()
    assert buttons.first.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert buttons.first.get_attribute("aria-expanded") == "true"
    assert page.errors == []


# ---- what moves ----------------------------------------------------------------------------------

EXPLORERS = {  # and films, by chapter
    "01_theory": ["After which stage"],
    "03_cifar10_feature_extraction": ["Method A is right"],
    "04_ants_bees_finetuning": ["Usually a crop", "The model is "],
    "05_frozen_backbone": ["Batches seen", "Step"],
    "06_which_backbone": ["On photographs, which head"],
    "07_how_much_to_train": ["244 rendered pictures", "Where does it gain most"],
    "08_your_own_pictures": ["A head has learned from few pictures"],
}


def visible_settings(explorer):
    return explorer.evaluate(
        """explorer => [...explorer.querySelectorAll(".view")]
            .filter(view => view.offsetParent !== null).map(view => view.dataset.setting)"""
    )


def stored_view(chapter, words, setting):
    """Return what a chapter's stored output has for a setting of the explorer with these words."""
    outputs = [o for cell in notebook_of(chapter)["cells"] for o in cell.get("outputs", [])]
    pages = ["".join(o["data"]["text/html"]) for o in outputs if "text/html" in o.get("data", {})]
    (page,) = [p for p in pages if 'class="explorer' in p and words in p]
    source = BeautifulSoup(page, "html.parser").select_one(f'[data-setting="{setting}"]')
    return source.string if source.name == "script" else source.decode_contents()


@pytest.mark.parametrize("chapter", EXPLORERS)
def test_an_explorer_asks_first_and_shows_what_is_chosen(page, addresses, chapter):
    page.goto(f"{addresses['http']}/notebooks/{chapter}.html")
    explorers = page.locator(".explorer:has(.control)")
    expect(explorers).to_have_count(len(EXPLORERS[chapter]))
    for explorer, words in zip(explorers.all(), EXPLORERS[chapter], strict=True):
        assert words in explorer.inner_text()
        if explorer.locator(".guess").count():
            assert visible_settings(explorer) == []
            guesses = explorer.locator(".guess label")
            assert explorer.locator(".sure").is_disabled()
            guesses.first.locator("input").focus()
            page.keyboard.press("ArrowLeft")  # from the first of a group to its last
            assert visible_settings(explorer) == []
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect(explorer.locator(".guess input").first).to_be_disabled()
            assert f"Your guess: {guesses.last.inner_text()}." in explorer.inner_text()
        seen = set()
        for i, control in enumerate(explorer.locator(".control").all()):
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


def test_a_film_is_still_until_it_is_played(page, addresses):
    for motion, does in (("no-preference", "Play"), ("reduce", "Next")):
        page.emulate_media(reduced_motion=motion)
        page.goto(f"{addresses['file']}/notebooks/05_frozen_backbone.html")
        film = page.locator(".film").first
        page.wait_for_timeout(600)
        assert visible_settings(film) == ["0"]
        button = film.locator("button.play")
        expect(button).to_have_text(does)
        button.click()
        if does == "Play":
            expect(button).to_have_text("Pause")
            expect(film.locator(".view")).not_to_have_attribute("data-setting", "0")
            button.click()
            expect(button).to_have_text("Play")
        else:  # who wants little motion goes on by one
            assert visible_settings(film) == ["1"]
        still = visible_settings(film)
        page.wait_for_timeout(600)
        assert visible_settings(film) == still
