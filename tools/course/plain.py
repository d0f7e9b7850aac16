"""Copies of the chapters in plain Markdown, for Colab, VS Code, GitHub and whatever knows no MyST.

Boxes become quotations, what is folded becomes `<details>`, figures travel inside the notebook, and
a link to another page of the book leads to the site, or is left out where the site has no address.
The solutions of the exercises come last. A first cell brings `helpers` where it is missing.
"""

import base64
import re
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.course import myst
from tools.course.address import ROOT, Address, read
from tools.course.chapters import notebooks
from tools.course.myst import Directive

LINK = re.compile(r"`[^`\n]+`|(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
REFERENCE = re.compile(r"^\((ref-[\w-]+)\)=\n(.+)$", re.M)
NO_SLIDE = {"slideshow": {"slide_type": "skip"}}
SETUP = """\
# Brings the course's own package, helpers, where it is missing: on Colab, for example.
try:
    import helpers
except ModuleNotFoundError:
    import subprocess, sys
    package = {package!r}
    how = "Open this notebook in the folder of the course, as its page \\"How to run it\\" says."
    if package is None:
        raise SystemExit("helpers is missing. " + how) from None
    print("helpers is missing: installing", package, "- this takes a minute or two.")
    if subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package]).returncode:
        raise SystemExit("pip could not install it: is there a connection? " + how) from None"""


def plain_lines(text: str) -> list[str]:
    """Turn MyST into lines of plain Markdown."""
    found: list[str] = []
    for part in myst.parse(text):
        found += [part] if isinstance(part, str) else plain_directive(part)
    return found


def plain_directive(directive: Directive) -> list[str]:
    """Turn a directive into plain Markdown: raise a ValueError if it is of an unknown kind."""
    body = plain_lines(directive.body)
    folded = "dropdown" in directive.options.get("class", "").split()
    match directive.name:
        case "admonition" if not folded:
            return [f"> {line}".rstrip() for line in (f"**{directive.title}**", "", *body)]
        case "admonition" | "dropdown":
            return fold(directive.title, body)
        case "figure":
            alt, caption = directive.options.get("alt", ""), " ".join(body).strip()
            return [f"![{alt}]({directive.title})", "", *([f"*{caption}*"] if caption else [])]
        case "exercise":
            return [f"### Exercise: {directive.title}", "", *body]
        case "solution":
            return fold("Solution", body)
        case "solution-start":
            return ["**Solution**"]
        case "solution-end":
            return []
        case _:
            raise ValueError(f"no plain form of the directive {directive.name} is known")


def fold(title: str, lines: list[str]) -> list[str]:
    """Return the lines folded under a title."""
    title = re.sub(r"[*`]", "", title)
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def plain_link(match: re.Match, address: Address, attachments: dict) -> str:
    """Let a link lead to the site; put a figure into the cell; keep what leads elsewhere."""
    picture, text, target = match.groups()
    if target is None:  # code
        return match[0]
    path, fragment = urlsplit(target).path, urlsplit(target).fragment
    if picture:
        return f"![{text}](attachment:{attach(path, attachments)})"
    if urlsplit(target).scheme or path.endswith(".ipynb"):
        return match[0]
    if not (path.startswith("../book/") and path.endswith(".md") and address.site):
        return text
    page = path.removeprefix("../").removesuffix(".md") + ".html"
    return f"[{text}]({address.site}{page}{'#' + fragment if fragment else ''})"


def attach(path: str, attachments: dict) -> str:
    """Put a figure into the attachments of a cell; return its name there."""
    file = ROOT / "notebooks" / path
    if file.suffix == ".svg":  # which not all of them show
        file = file.with_suffix(".png")
    kind = "image/png" if file.suffix == ".png" else "image/jpeg"
    attachments[file.name] = {kind: base64.b64encode(file.read_bytes()).decode()}
    return file.name


def plain_cell(source: str, address: Address) -> tuple[str, dict]:
    """Return a cell's text in plain Markdown, and the figures that it shows."""
    attachments: dict = {}
    text = "\n".join(plain_lines(source))
    text = LINK.sub(lambda match: plain_link(match, address, attachments), text)
    return re.sub(r"\n{3,}", "\n\n", text).strip(), attachments


def solutions_last(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Move each solution, from its start to its end, behind everything else."""
    kept, moved, titles = [], [], {}
    for piece in myst.pieces(cells):
        cell = NotebookNode(piece.cell | {"id": piece.id, "source": piece.text})
        if cell.cell_type == "markdown":
            found = myst.directives(piece.text, "exercise")
            titles |= {each.options["label"]: each.title for each in found}
            for start in myst.directives(piece.text, "solution-start"):
                heading = f"### Solution: {titles[start.title]}\n"
                cell.source = cell.source.replace(start.source, heading)
        (moved if piece.in_solution else kept).append(cell)
    heading = new_markdown_cell("## Solutions", id="solutions", metadata=NO_SLIDE)
    return [*kept, heading, *moved] if moved else kept


def references(text: str) -> str:
    """Return the list of what the text cites."""
    entries = dict(REFERENCE.findall((ROOT / "book" / "references.md").read_text("utf8")))
    cited = set(re.findall(r"references\.md#(ref-[\w-]+)", text))
    return "\n\n".join(entry for label, entry in entries.items() if label in cited)


def plain_output(output):
    """Keep text and the PNG of a figure: an explorer shows once its cell is run."""
    if "data" in output:
        kinds = ("text/plain", "image/png", "image/jpeg")
        output.data = {kind: value for kind, value in output.data.items() if kind in kinds}
    return output


def plain_code(cell) -> list:
    """Return a cell of code with plain outputs, and the caption of its figure as a cell of text."""
    caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
    predicted = "hide-output" in cell.metadata.get("tags", [])  # nothing to read before the guess
    cell.outputs = [] if predicted else [plain_output(output) for output in cell.outputs]
    kept = cell.metadata.keys() & {"slideshow", "tags"}
    cell.metadata = {key: cell.metadata[key] for key in sorted(kept)}
    below = [new_markdown_cell(f"*{caption}*", id=f"{cell.id}-caption")] if caption else []
    return [cell, *below]


def plain_notebook(
    path: Path,
    notebook: NotebookNode | None = None,
    address: Address | None = None,
    last: bool = True,
) -> NotebookNode:
    """Return a chapter as a notebook in plain Markdown; cells keep their ids.

    Args:
        path: the chapter's file; its stem is kept in the notebook's metadata
        notebook: what to convert, if it is not what the file holds
        address: where the site and the repository are; those of `_config.yml` by default
        last: whether solutions come last, and not each behind its exercise
    """
    copy: NotebookNode = notebook or nbformat.read(path, as_version=4)
    address = address or read()
    cited = references("\n".join(cell.source for cell in copy.cells))
    cells = []
    for cell in solutions_last(copy.cells) if last else copy.cells:
        if cell.cell_type == "code":
            cells += plain_code(cell)
            continue
        cell.source, attachments = plain_cell(cell.source, address)
        if attachments:
            cell.attachments = attachments
        cells += [cell] if cell.source else []
    setup = new_code_cell(SETUP.format(package=address.package), id="setup", metadata=NO_SLIDE)
    cells.insert(1, setup)
    if cited:
        text = f"## References\n\n{cited}"
        cells.append(new_markdown_cell(text, id="references", metadata=NO_SLIDE))
    copy.cells = cells
    copy.metadata["course"] = {"chapter": path.stem}
    return copy


def all_copies() -> dict[str, str]:
    """Return the plain copies of all chapters as they are stored, by the names of their files."""
    return {path.name: nbformat.writes(plain_notebook(path)) for path in notebooks()}


def main(out: Path) -> None:
    """Write the plain copies of all chapters into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in all_copies().items():
        (out / name).write_text(text, "utf8")
    print(f"written: plain copies of the chapters, in {out}")
