"""What is made of the course: its addresses, the plain copies of the chapters, the slides."""

import base64
import hashlib
import re
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from conftest import ROOT
from PIL import Image

from book._ext import address as on_pages
from book._ext import guide as guide_page
from tools.course import address, archives, guide, plain, slides
from tools.course.address import Address
from tools.course.chapters import chapters

SITE = Address("https://github.com/owner/name", "main", "https://owner.github.io/name/")
NOWHERE = Address()


# ---- addresses -----------------------------------------------------------------------------------


def test_the_address_is_read_from_the_settings_or_a_workflow(tmp_path):
    def read(text, **environment):
        (tmp_path / "_config.yml").write_text(text)
        return address.read(tmp_path / "_config.yml", environment)

    empty = 'repository: {url: "", branch: main}\nhtml: {baseurl: ""}\n'
    assert read(empty) == read("") == NOWHERE
    assert read(empty, GITHUB_REPOSITORY="owner/name") == SITE
    server = "https://github.com/"
    assert read("", GITHUB_REPOSITORY="owner/name", GITHUB_SERVER_URL=server) == SITE
    assert read(empty, GITHUB_REPOSITORY="O/o.github.io").site == "https://o.github.io/"
    named = "repository: {url: https://host.org/a/b/}\nhtml: {baseurl: https://book.org}\n"
    found = read(named, GITHUB_REPOSITORY="owner/name")
    assert found == Address("https://host.org/a/b", "main", "https://book.org/")
    dotted = "repository: {url: https://github.com/owner/name.git, branch: 1.0}"
    assert read(dotted) == SITE._replace(branch="1.0")
    for text, said in (
        ("html: {baseurl: book.org}", "html.baseurl: expected https://…, or nothing; got 'b"),
        ("repository: {url: https://github.com/x}", "an owner and a name"),
        ("repository: https://github.com/x/y", "repository: expected url in it"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            read(text)
    # What pip installs from:
    zipped = "https://github.com/owner/name/archive/refs/heads/main.zip"
    assert SITE.package == zipped and NOWHERE.package is None
    assert Address("https://host.org/a/b", "dev").package == "git+https://host.org/a/b@dev"
    alone = Address(site="https://book.org/")
    assert alone.package == "https://book.org/transfer-learning-hands-on.zip"


def test_with_an_address_the_pages_get_their_buttons(monkeypatch):
    monkeypatch.setattr(on_pages, "read", lambda: SITE._replace(jupyterhub="https://hub.org"))
    made = SimpleNamespace(html_theme_options={}, ogp_image="card")
    on_pages.put_into_theme(None, made)
    options = made.html_theme_options
    assert options["use_repository_button"] and options["use_edit_page_button"]
    assert options["repository_url"] == SITE.repository and options["repository_branch"] == "main"
    assert options["launch_buttons"]["jupyterhub_url"] == "https://hub.org"
    assert made.html_baseurl == SITE.site and made.notfound_urls_prefix == "/name/"
    button = {"text": "Colab", "url": "https://c/github/owner/name/blob/main/notebooks/01.ipynb"}
    context = {"header_buttons": [{"buttons": [button]}, {"type": "link"}]}
    on_pages.to_plain_copy(SimpleNamespace(config=made), "page", "", context, None)
    assert button["url"] == "https://c/github/owner/name/blob/plain/notebooks/01.ipynb"
    monkeypatch.setattr(on_pages, "read", lambda: NOWHERE)
    on_pages.put_into_theme(None, made)
    assert not made.html_theme_options["use_issues_button"] and made.ogp_image is None
    assert made.html_theme_options["launch_buttons"] == {}


# ---- plain copies --------------------------------------------------------------------------------


def test_a_plain_copy_is_whole_and_has_no_directive():
    for path in chapters():
        copy = plain.plain_notebook(path, address=SITE)
        nbformat.validate(copy)
        original = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in copy.cells)
        for sign in (":::", "{ref}", "{numref}", "{term}", "{cite", "(../book"):
            assert sign not in text, (path, sign)
        ids = [cell.id for cell in copy.cells]
        assert len(set(ids)) == len(ids) and copy.cells[1].id == "setup"
        code = [c.id for c in original.cells if c.cell_type == "code"]
        kept = [c.id for c in copy.cells if c.cell_type == "code" and c.id != "setup"]
        assert sorted(code) == sorted(kept)
        for cell in original.cells:  # every sentence is still there
            for line in cell.source.splitlines() if cell.cell_type == "markdown" else []:
                if line and line[0].isalpha() and "](" not in line:
                    assert line in text, (path, line)
        assert ids.index("solutions") > ids.index("quiz")
        for cell in copy.cells:
            for name, data in cell.get("attachments", {}).items():
                assert f"(attachment:{name})" in cell.source
                assert len(base64.b64decode(next(iter(data.values())))) > 1000


def test_a_box_a_fold_and_a_link_in_plain_markdown():
    source = (
        "Before\n\n::::{admonition} Read it\n:class: answer dropdown\nAn *answer*.\n\n"
        ":::{admonition} Box\n:class: saw\n| a |\n|---|\n| 1 |\n:::\n::::\n\n"
        "[term](../book/glossary.md#term-head) [chapter](01_theory.ipynb) [out](https://a.org)"
    )
    text, _ = plain.plain_cell(source, SITE)
    assert text == (
        "Before\n\n<details>\n<summary>Read it</summary>\n\nAn *answer*.\n\n> **Box**\n>\n> | a |\n"
        "> |---|\n> | 1 |\n\n</details>\n\n"
        "[term](https://owner.github.io/name/book/glossary.html#term-head) "
        "[chapter](01_theory.ipynb) [out](https://a.org)"
    )
    code = "```\n:::{note}\n:::\n```\n`a[i](x)`"
    assert plain.plain_cell(code, SITE)[0] == code
    assert plain.plain_cell(":::{admonition} A\nb\n::: ", SITE)[0] == "> **A**\n>\n> b"
    text, _ = plain.plain_cell("a [term](../book/glossary.md#term-head)", NOWHERE)
    assert text == "a term"
    with pytest.raises(ValueError, match="no plain form of the directive grid"):
        plain.plain_cell(":::{grid}\n:::", NOWHERE)


def test_a_prediction_hides_its_output_and_text_tells_what_a_figure_shows():
    output = nbformat.v4.new_output("display_data", {"image/png": "x", "text/html": "<b>"})
    figure = {"mystnb": {"figure": {"caption": "A finding."}}, "tags": ["a"], "other": 1}
    cell, caption = plain.plain_code(
        nbformat.v4.new_code_cell("", outputs=[output], metadata=figure)
    )
    assert cell.outputs[0].data == {"image/png": "x"} and cell.metadata == {"tags": ["a"]}
    assert caption.source == "*A finding.*"
    cell.metadata = {"tags": ["hide-output"]}
    assert plain.plain_code(cell)[0].outputs == []


def test_the_first_cell_says_what_to_do_where_helpers_is_missing(tmp_path):
    """In a Python that has no helpers, with no address and with one that can't be reached."""
    cases = (None, "Open this notebook in the folder"), ("./none.zip", "a connection")
    for package, said in cases:
        program = tmp_path / "cell.py"
        program.write_text(plain.SETUP.format(package=package))
        options = {"cwd": tmp_path, "capture_output": True, "text": True}
        done = subprocess.run([sys.executable, "-S", "-E", str(program)], **options)
        assert done.returncode == 1 and said in done.stderr, done.stderr
    here = subprocess.run([sys.executable, str(program)], cwd=ROOT, capture_output=True, text=True)
    assert here.returncode == 0 and here.stdout == here.stderr == ""


def test_diagrams_of_the_copies_are_those_of_the_chapters():
    for drawn in (ROOT / "book" / "figures").glob("*.png"):
        with Image.open(drawn) as image:
            source = drawn.with_suffix(".svg").read_bytes()
            assert image.info["source"] == hashlib.sha256(source).hexdigest(), (
                f"{drawn.name} is older than its SVG: tools.provenance.diagrams"
            )


# ---- slides and the guide ------------------------------------------------------------------------


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_the_guide_and_the_slides_follow_the_chapter(path):
    chapter = guide.read(chapters().index(path) + 1)
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert chapter["chapter"] == path.stem
    assert [section["title"] for section in chapter["section"]] == headings
    for section in chapter["section"]:
        assert section["minutes"] > 0 and section["aim"] and section["board"], section["title"]
        assert set(section) <= {"title", "minutes", *guide.PARTS}
    for cell in notebook.cells:  # a heading starts a slide
        kind = cell.metadata.slideshow.slide_type
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        heading = any(line.startswith("#") for line in lines)
        assert kind in (("slide", "skip") if heading else ("slide", "subslide", "skip")), cell.id
        if "parameters" in cell.metadata.get("tags", ()) or cell.id == "quiz":
            assert kind == "skip"


def test_a_slide_shows_the_first_sentence_and_notes_the_rest():
    deck = slides.Deck("01_theory", {"Part": {"minutes": 4, "aim": "Aim.", "board": "Draw."}})
    first, item = "One idea, e.g. `a. b`, that is long enough to stand by itself.", "b " * 31
    deck.markdown(f"# Title\n\n{first} Two.\n\n## Part\n\n- a. More.\n- {item}. Rest.")
    whole = "Two (and. more) things: so. Rest"
    assert slides.first_sentence(whole) == whole
    (title,), (part,) = deck.stacks
    assert title["html"].endswith("stand by itself.</p>\n")
    assert "<code>a. b</code>" in title["html"]
    assert title["notes"].strip() == f"{first} Two."
    assert "<li>a. More.</li>\n<li>b b" in part["html"] and "Rest" not in part["html"]
    assert part["notes"].startswith("**4 minutes.** Aim.\n\n**At the board.** Draw.")


def test_a_predicted_output_comes_on_the_next_slide():
    deck = slides.Deck("01_theory", {})
    deck.head("Part", 2)
    output = nbformat.v4.new_output("stream", text="42\n")
    cell = nbformat.v4.new_code_cell("6 * 7", outputs=[output], metadata={"tags": ["hide-output"]})
    deck.code(cell)
    assert ["42" in slide["html"] for slide in deck.stacks[0]] == [False, True]
    cell.metadata.tags = []
    deck.code(cell)
    assert len(deck.stacks[0]) == 3
    assert "42" in deck.stacks[0][-1]["html"] and "class=code" in deck.stacks[0][-1]["html"]


def test_the_plans_add_up_to_the_minutes_of_the_sections():
    text = (ROOT / "book" / "teaching.md").read_text("utf8")
    minutes = [
        {part["title"]: part["minutes"] for part in guide.read(number)["section"]}
        for number in range(1, len(chapters()) + 1)
    ]
    totals = [int(row.split("|")[-2]) for row in guide_page.minutes().splitlines()]
    assert totals[:-1] == [sum(parts.values()) for parts in minutes]
    assert totals[-1] == sum(totals[:-1])
    rows = re.findall(r"^\| (\d+)–(\d+) \| (\*.+\*) \| chapter (\d) \|$", text, re.M)
    assert len(rows) > 20
    for start, end, names, number in rows:
        found = sum(minutes[int(number) - 1][name] for name in re.findall(r"\*([^*]+)\*", names))
        assert found == int(end) - int(start), names
    plans = re.findall(r"^\| (\d+)–(\d+) \|", text, re.M)
    for (_, before), (after, _) in pairwise(plans):
        assert after in (before, "0")  # each row begins where the one above it ended


# ---- the archive of the course -------------------------------------------------------------------


def test_vendored_scripts_are_those_that_the_table_names():
    folder = ROOT / "book" / "static" / "served" / "vendor"
    table = (folder / "README.md").read_text("utf8")
    for file in [*folder.glob("*.js"), *folder.glob("*.css")]:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in table, file.name


def test_the_course_is_what_git_knows_or_what_lies_in_its_own_folders(tmp_path, monkeypatch):
    listed = archives.course_files()
    assert Path("helpers/training.py") in listed
    assert not [path for path in listed if path.parts[0] in ("_build", ".git", ".venv")]
    folders = {path.parts[0] for path in listed if len(path.parts) > 1}
    assert folders == archives.FOLDERS | archives.HIDDEN_FOLDERS
    monkeypatch.setattr(archives, "ROOT", tmp_path)
    names = ["a.py", "_build/b", ".venv/c", "book/d.md", "x.egg-info/e", "handed-in/anna/f.ipynb"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert archives.course_files() == [Path("a.py"), Path("book/d.md")]
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    git(["git", "init"])
    git(["git", "add", "book"])
    assert archives.course_files() == [Path("book/d.md")]
