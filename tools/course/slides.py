"""Slides, a deck a chapter, from the chapter's own cells, for reveal.js.

A heading starts a slide. Of a paragraph the slide shows the first sentence, which carries its
idea, and the speaker's notes have all of it, with the minutes and the board of the teacher's guide.
Code, figures, predictions and tables are shown whole. A cell whose `slide_type` is "skip" is left
out; the same metadata serve JupyterLab, where jupyterlab-rise shows the notebook itself as slides.
"""

import base64
import re
from html import escape
from pathlib import Path

import nbformat
from docutils.nodes import make_id
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools.course import guide
from tools.course.address import ROOT
from tools.course.chapters import chapters, title
from tools.course.myst import Directive, parse
from tools.course.plain import LINK

MOST_LEADS = 3  # first sentences on a slide
SHORT = 60  # characters: a shorter sentence does not stand alone
ROOM = 590  # pixels of a slide's height for code and what it printed
LINE = 44  # pixels of a line of text
ITEM = r"(?:- |\d+\. )"  # of a list
SENTENCE = re.compile(r"^.*?[.?!](?=\s|$)(?<!e\.g\.)(?<!i\.e\.)(?<!et al\.)", re.S)
TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="icon" href="../_static/favicon.svg">
<link rel="stylesheet" href="../_static/vendor/reveal.css">
<link rel="stylesheet" href="../_static/slides.css">
<style>{pygments}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="../_static/vendor/reveal.js"></script>
<script src="../_static/vendor/reveal-notes.js"></script>
<script>
Reveal.initialize({{
  width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t",
  transition: "none", plugins: [RevealNotes],
}});
</script>
</body>
</html>
"""
MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=lambda formula, _: convert(formula))


def render(text: str) -> str:
    """Return Markdown as HTML; links within the book lead to the site."""
    return MARKDOWN.render(LINK.sub(site_link, text))


def site_link(match: re.Match) -> str:
    """Let a link to a page or a chapter lead to the site that the slides lie in."""
    picture, text, target = match.groups()
    if target is None or picture or "://" in target or target.startswith("#"):
        return match[0]
    if not re.search(r"[.](md|ipynb)(#|$)", target):  # a file of the repository
        return text
    path = target.removeprefix("../") if target.startswith("../") else f"notebooks/{target}"
    return f"[{text}](../{re.sub(r'[.](md|ipynb)(?=#|$)', '.html', path)})"


def lead(paragraph: str) -> str:
    """Return the first sentence of a paragraph, or of each item of a list."""
    if not re.match(ITEM, paragraph):
        return first_sentence(paragraph)
    items = [item.split(" ", 1) for item in re.split(rf"\n(?={ITEM})", paragraph)]
    return "\n".join(f"{mark} {first_sentence(text)}" for mark, text in items)


def first_sentence(text: str) -> str:
    """Return the first sentence, and the next after a short one; no half pair of signs."""
    found = SENTENCE.match(text)
    sentence = found[0] if found else text
    while found and (len(sentence) < SHORT or is_half(sentence)):
        rest = SENTENCE.match(text[len(sentence) :].lstrip())
        if not rest:
            return text
        sentence = text[: text.index(rest[0], len(sentence)) + len(rest[0])]
    return sentence


def split_table(text: str) -> tuple[str, str]:
    """Split a box into its table with the note below it, and the rest; no table: nothing, all."""
    found = re.match(r"(?:\|[^\n]*\n)+(?:\n\*[^\n]*\*(?=\n|$))?", text.strip() + "\n")
    return (found[0].strip(), text.strip()[found.end() :].strip()) if found else ("", text)


def dense(text: str) -> str:
    """Return the class for a text that needs small letters."""
    return " dense" if text.count("\n|") > 11 or len(text) > 900 else ""


def is_half(text: str) -> bool:
    """Tell whether a text ends between two signs that belong together."""
    odd = any(text.count(sign) % 2 for sign in ("`", "$", "**"))
    return odd or text.count("(") > text.count(")")


def preformatted(kind: str, text: str) -> tuple[str, float]:
    """Return code, or what it printed, as large as a slide can hold it, and its height."""
    lines = text.rstrip("\n").split("\n")
    size = min(24, 1100 / (0.62 * max(map(len, lines))), (ROOM - 50) / (1.4 * len(lines)))
    colored = HtmlFormatter(nowrap=True)
    shown = highlight(text, PythonLexer(), colored) if kind == "code" else escape(text)
    block = f'<pre class={kind} style="font-size: {size:.1f}px"><code>{shown}</code></pre>'
    return block, 1.4 * size * len(lines) + 40


class Deck:
    """The slides of a chapter while they are collected: stacks of slides, a stack a section."""

    def __init__(self, chapter: str, minutes: dict[str, dict]):
        """Begin a deck; `minutes` holds the guide's sections by their titles."""
        self.chapter, self.guide = chapter, minutes
        self.stacks: list[list[dict]] = []
        self.section, self.leads = "", 0

    def add(self, html: str, kind: str = "", notes: str = "") -> None:
        """Add a slide to the present stack, or fill the one that has only a heading."""
        stack = self.stacks[-1]
        if stack and stack[-1]["kind"] == "heading":
            stack[-1]["html"] += html
            stack[-1]["kind"] = kind or "text"
        else:
            where = f"<p class=where>{escape(self.section)}</p>" if stack else ""
            stack.append({"html": where + html, "kind": kind, "notes": notes})
        self.leads = 0

    def head(self, title: str, level: int) -> None:
        """Start a stack with a heading."""
        self.stacks.append([])
        self.section = title
        told = self.guide.get(title, {})
        notes = f"**{told['minutes']} minutes.** {told['aim']}" if told else ""
        for part, name in list(guide.PARTS.items())[1:]:
            notes += f"\n\n**{name}.** {told[part]}" if part in told else ""
        self.add(f"<h{level}>{render(title)[3:-5]}</h{level}>", "heading", notes)

    def say(self, paragraph: str) -> None:
        """Show the first sentence of a paragraph on the present slide, and note all of it."""
        if paragraph.startswith("|"):
            self.add(render(paragraph), "saw" + dense(paragraph))
            return
        if self.leads >= MOST_LEADS or self.stacks[-1][-1]["kind"] != "text":
            self.add("", "text")
        slide = self.stacks[-1][-1]
        slide["html"] += render(lead(paragraph))
        slide["notes"] += f"\n\n{paragraph}"
        self.leads += 1

    def box(self, box: Directive) -> None:
        """Show a box whole, on a slide of its own."""
        text, kind = box.body, (box.options.get("class") or "box").split()[0]
        if kind == "chapter-box":
            self.stacks[-1][-1]["html"] += render(text)
            self.leads = MOST_LEADS
            return
        for part in filter(None, split_table(text)):
            self.add(f"<h3>{escape(box.title)}</h3>{render(part)}", kind + dense(part))

    def figure(self, figure: Directive) -> None:
        """Show a figure of the book."""
        path = ROOT / "notebooks" / figure.title
        kind = {".svg": "svg+xml", ".jpg": "jpeg", ".png": "png"}[path.suffix]
        caption = figure.body.replace("\n", " ")
        self.picture(kind, path.read_bytes(), figure.options.get("alt", ""), caption)

    def picture(self, kind: str, data: bytes, alt: str, caption: str) -> None:
        """Show a picture with its caption."""
        source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        image = f'<img alt="{escape(alt, quote=True)}" src="{source}">'
        self.add(f"<figure>{image}<figcaption>{render(caption)}</figcaption></figure>", "figure")

    def markdown(self, source: str) -> None:
        """Add a cell of text."""
        text: list[str] = []
        for part in [*parse(source), ""]:
            if isinstance(part, str) and part and not re.match("#{1,6} ", part):
                text.append(part)
                continue
            if text:
                self.say("\n".join(text))
                text = []
            if isinstance(part, Directive):
                if part.name == "figure":
                    self.figure(part)
                elif part.name == "admonition":
                    self.box(part)
                elif part.name == "exercise":
                    self.stacks[-1][-1]["html"] += render(f"- {part.title}")
                    self.stacks[-1][-1]["kind"] = "text"
            elif part:
                level, title = part.split(" ", 1)
                self.head(title, len(level))

    def code(self, cell) -> None:
        """Add a cell of code, and what it printed or drew."""
        printed = "".join(o["text"] for o in cell.outputs if o.output_type == "stream")
        block, height = preformatted("code", cell.source)
        result, more = preformatted("printed", printed) if printed else ("", 0)
        if "hide-output" not in cell.metadata.get("tags", []) and height + more < ROOM:
            block, height, result = block + result, height + more, ""
        slide = self.stacks[-1][-1]
        text = 2 * LINE * self.leads + (2 * LINE if "<h" in slide["html"] else LINE)
        if slide["kind"] == "text" and text + height < ROOM:
            slide["html"] += block
            slide["kind"] = "code"
        else:
            self.add(block, "code")
        if result:
            self.add(result, "code")
        for output in cell.outputs:
            self.output(output.get("data", {}), cell.metadata.get("mystnb", {}))

    def output(self, data: dict, shown: dict) -> None:
        """Show a figure that a cell drew, or say where an explorer is."""
        alt = shown.get("image", {}).get("alt", "")
        caption = shown.get("figure", {}).get("caption", "")
        if "image/svg+xml" in data:
            self.picture("svg+xml", data["image/svg+xml"].encode(), alt, caption)
        elif "image/png" in data:
            self.picture("png", base64.b64decode(data["image/png"]), alt, caption)
        elif "text/html" in data:
            place = f"../notebooks/{self.chapter}.html#{make_id(self.section)}"
            self.add(f'<p>Something to move: <a href="{place}">open it on the site</a>.</p>', "go")

    def html(self) -> str:
        """Return all stacks as HTML."""
        return "\n".join(
            "<section>" + "\n".join(map(slide_html, stack)) + "</section>" for stack in self.stacks
        )


def slide_html(slide: dict) -> str:
    """Return a slide as HTML."""
    notes = f"<aside class=notes>{render(slide['notes'])}</aside>" if slide["notes"] else ""
    return f'<section class="{slide["kind"] or "text"}">{slide["html"]}{notes}</section>'


def deck(path: Path, number: int) -> str:
    """Return the deck of a chapter as a page."""
    notebook = nbformat.read(path, as_version=4)
    sections = {section["title"]: section for section in guide.read(number)["section"]}
    slides = Deck(path.stem, sections)
    for cell in notebook.cells:
        if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
            continue
        slides.markdown(cell.source) if cell.cell_type == "markdown" else slides.code(cell)
    style = HtmlFormatter(style="friendly").get_style_defs("pre.code")
    return TEMPLATE.format(title=escape(title(path)), pygments=style, slides=slides.html())


def main(out: Path) -> None:
    """Write the decks of all chapters into a folder of the site."""
    out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(chapters(), 1):
        (out / f"{path.stem}.html").write_text(deck(path, number), "utf8")
    print(f"written: slides of the chapters, in {out}")
