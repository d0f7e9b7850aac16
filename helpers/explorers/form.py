"""What all explorers are: a guess first, then controls, and what each setting shows.

In a notebook the controls are ipywidgets, and each setting is computed when it is chosen. A page
without a kernel holds what every setting gives, as HTML, and `static/explorers.js` shows the one
that is chosen. Both come from the same function.
"""

import hashlib
import html
import io
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from helpers.data import Loaders
from helpers.plots import restore

STYLE = Path(__file__).parent / "static" / "explorers.css"  # the site has it on every page
RUN_ME = '<p class="run-me">Run this cell, and it moves.</p>'  # in a notebook that was not run
SAFE = " /:;=,.()<>'!*-"  # within the quotation marks of an address
FRAME = 350  # milliseconds
MOST_BUTTONS = 6  # options of a control; more are a slider


class Movable:
    """What a cell displays as a widget in a notebook, and as HTML on a page."""

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        raise NotImplementedError

    def to_html(self) -> str:
        """Return the form for a page without a kernel."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_) -> dict[str, Any]:
        """Give a notebook the widget with its style, and a page the HTML.

        With EXPLORERS=page in the environment there is no widget, for outputs that are stored.
        """
        page = {"text/plain": type(self).__name__, "text/html": self.to_html()}
        if os.environ.get("EXPLORERS") == "page":
            return page
        style = ipywidgets.HTML(f"<style>{STYLE.read_text('utf8')}</style>")
        widget = ipywidgets.VBox([style, self.widget()])
        widget.add_class("explorer")
        return widget._repr_mimebundle_() | page


class Explorer(Movable):
    """A question, controls, and what each setting shows; the last line of a cell displays it."""

    def __init__(
        self,
        question: str,
        guesses: Sequence[str],
        controls: Mapping[str, Sequence[Any]],
        show: Callable[..., str],
        *,
        start: Sequence[int] | None = None,
        answer: str,
        in_words: str,
        shared: str = "",
    ):
        """Take what there is to choose from.

        question, guesses: what the reader commits to before anything is shown; plain text.
        controls: the options of each, by its label.
        show: takes one option of each control, in their order; returns HTML.
        start: the index of the option that each control has at first; by default the first.
        answer: what was found, shown beside the reader's guess; HTML.
        in_words: what there is to see, for print and for who can't use the controls; HTML.
        shared: what all settings use, such as a style sheet; HTML.
        """
        self.question, self.guesses, self.answer = question, list(guesses), answer
        self.controls = {label: list(options) for label, options in controls.items()}
        self.show, self.in_words, self.shared = show, in_words, shared
        self.start = tuple(start or [0] * len(self.controls))

    def settings(self) -> Iterator[tuple[int, ...]]:
        """Go through all settings: the index of the option of each control."""
        yield from product(*(range(len(options)) for options in self.controls.values()))

    def with_start(self) -> Iterator[tuple[tuple[str, list], int]]:
        """Go through the controls: label and options, and the index of the first choice."""
        yield from zip(self.controls.items(), self.start, strict=True)

    def shown(self, setting: Sequence[int]) -> str:
        """Return what a setting shows."""
        options = self.controls.values()
        return self.show(*(mine[i] for mine, i in zip(options, setting, strict=True)))

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook: a guess, then controls that compute."""
        guess = ipywidgets.RadioButtons(options=self.guesses, value=None)
        guess.layout.width = "auto"
        controls = [choice(*named, at) for named, at in self.with_start()]
        said, shown = ipywidgets.HTML(), ipywidgets.HTML()
        explored = ipywidgets.VBox([said, *controls, shown])
        explored.layout.display = "none"

        def update(_=None) -> None:
            shown.value = self.shown([control.index for control in controls])

        def begin(change: dict) -> None:
            said.value = f"<p>Your guess: <b>{html.escape(change.new)}</b>. {self.answer}</p>"
            explored.layout.display = None

        guess.observe(begin, "value")
        for control in controls:
            control.observe(update, "index")
        update()
        question = ipywidgets.HTML(f"{self.shared}<b>{html.escape(self.question)}</b>")
        return ipywidgets.VBox([question, guess, explored])

    def to_html(self) -> str:
        """Return the form for a page without a kernel: all settings, of which one shows."""
        shown = {" ".join(map(str, setting)): self.shown(setting) for setting in self.settings()}
        views = one_of(shown, " ".join(map(str, self.start)))
        controls = "".join(fieldset(*named, at) for named, at in self.with_start())
        return (
            f'<div class="explorer">{RUN_ME}{self.shared}'
            f"{fieldset(self.question, self.guesses, None, kind='guess')}"
            f'<div class="explored"><p class="said"></p>{controls}{views}</div>'
            f'<script type="text/html" class="answer">{self.answer}</script>'
            f'<details class="in-words"><summary>In words</summary>{self.in_words}</details></div>'
        )


class Film(Movable):
    """Frames that a reader plays, or goes through with a slider."""

    def __init__(self, label: str, frames: Mapping[str, str], in_words: str):
        """Take the frames as HTML, by what each is; `label` says what that counts.

        in_words: what there is to see, for print and for who can't see it; HTML.
        """
        self.label, self.frames, self.in_words = label, dict(frames), in_words

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        frames = list(self.frames.values())
        slider = ipywidgets.SelectionSlider(options=list(self.frames), description=self.label)
        play = ipywidgets.Play(max=len(frames) - 1, interval=FRAME)
        shown = ipywidgets.HTML(frames[0])
        ipywidgets.jslink((play, "value"), (slider, "index"))
        slider.observe(lambda change: setattr(shown, "value", frames[change.new]), "index")
        return ipywidgets.VBox([ipywidgets.HBox([play, slider]), shown])

    def to_html(self) -> str:
        """Return the form for a page without a kernel: all frames; without a script, the last."""
        last = len(self.frames) - 1
        views = one_of({str(i): frame for i, frame in enumerate(self.frames.values())}, str(last))
        return (
            f'<div class="explorer film" data-interval="{FRAME}">{RUN_ME}'
            '<button type="button" class="play">Play</button>'
            f"{slider(self.label, list(self.frames), last)}{views}"
            f'<details class="in-words"><summary>In words</summary>{self.in_words}</details></div>'
        )


def one_of(views: Mapping[str, str], shown: str) -> str:
    """Return one view by its setting, and the others where nothing but a script finds them."""
    others = "".join(
        f'<script type="text/html" data-setting="{setting}">{view}</script>'
        for setting, view in views.items()
        if setting != shown
    )
    return (
        f'<div class="view" aria-live="polite" data-setting="{shown}">{views[shown]}</div>{others}'
    )


def choice(label: str, options: Sequence[Any], chosen: int) -> ipywidgets.Widget:
    """Make a control: buttons, or a slider where there are many options."""
    kind = ipywidgets.ToggleButtons if len(options) <= MOST_BUTTONS else ipywidgets.SelectionSlider
    control = kind(options=[(str(option), i) for i, option in enumerate(options)], value=chosen)
    control.description, control.style.description_width = label, "initial"
    return control


def fieldset(
    label: str, options: Sequence[Any], chosen: int | None, *, kind: str = "control"
) -> str:
    """Return the same as HTML; `chosen` is the index of an option, or None."""
    if kind == "control" and len(options) > MOST_BUTTONS:
        return slider(label, options, chosen or 0)
    texts, legend = [html.escape(str(option)) for option in options], html.escape(label)
    buttons = "".join(
        f'<label><input type="radio" value="{i}"{" checked" if i == chosen else ""}>'
        f"<span>{text}</span></label>"
        for i, text in enumerate(texts)
    )
    return f'<fieldset class="{kind}"><legend>{legend}</legend>{buttons}</fieldset>'


def slider(label: str, options: Sequence[Any], chosen: int = 0) -> str:
    """Return a slider over the options as HTML."""
    texts = [html.escape(str(option)) for option in options]
    return (
        f'<label class="control slider"><span>{html.escape(label)}: '
        f"<output>{texts[chosen]}</output></span>"
        f'<input type="range" min="0" max="{len(texts) - 1}" value="{chosen}" '
        f'aria-valuetext="{texts[chosen]}" data-texts="{"|".join(texts)}"></label>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(str(value))}</td>' for value in row)}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def thumbnails(pictures: Iterable[str]) -> str:
    """Return pictures side by side, as many as there is room for."""
    return f'<div class="thumbnails">{"".join(pictures)}</div>'


def chart(figure: Figure, alt: str) -> str:
    """Return a figure as an `<img>` that holds its SVG, made small, and close it."""
    file = io.StringIO()
    for ax in figure.axes:
        ax.grid(visible=False)  # many lines, of little use
    with plt.rc_context({"svg.fonttype": "none"}):  # letters, not their outlines
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(figure)
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    for long, short in (
        (r"<metadata>.*?</metadata>", ""),
        (r"font-family: [^;\"]*", "font-family: sans-serif"),
        (r"(\.\d\d)\d+", r"\1"),  # a hundredth of a point
        (r"\s+", " "),
        ("> <", "><"),
        ('"', "'"),  # which an address may have as it is
    ):
        svg = re.sub(long, short, svg, flags=re.DOTALL)
    return (
        f'<img class="chart" alt="{html.escape(alt)}" src="data:image/svg+xml,{quote(svg, SAFE)}">'
    )


def thumbnail(image: Tensor, loaders: Loaders, text: str, side: int = 96) -> str:
    """Return a normalized picture `(3, H, W)` over a line of text."""
    return picture(to_image(image, loaders), text, side)


def picture(image: Image.Image, text: str, side: int = 96) -> str:
    """Return a picture over a line of text."""
    text = html.escape(text)
    image = image.resize((side, side))
    return (
        f'<figure style="width: {side}px">'
        f'<img src="{webp(image)}" alt="{text}" width="{side}" height="{side}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def to_image(image: Tensor, loaders: Loaders) -> Image.Image:
    """Undo the normalization."""
    pixels = 255 * restore(image, loaders.mean, loaders.std)
    return Image.fromarray(pixels.round().astype("uint8"))


def webp(image: Image.Image) -> str:
    """Return a picture as an address that holds it."""
    file = io.BytesIO()
    image.save(file, "webp", quality=70)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


class PointPictures:
    """Pictures that points of a map show when they are pointed at, all in one."""

    def __init__(self, images: Sequence[Tensor], loaders: Loaders, side: int = 72):
        """Lay them side by side."""
        self.side = side
        sheet = Image.new("RGB", (side * len(images), side))
        for i, image in enumerate(images):
            sheet.paste(to_image(image, loaders).resize((side, side)), (side * i, 0))
        source = webp(sheet)
        self.name = f"sheet-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
        self.style = f"<style>.{self.name} {{ background-image: url({source}); }}</style>"

    def point(self, i: int, x: float, y: float, text: str, kind: str) -> str:
        """Return the point of picture i at a place from 0 to 1; `kind` is its CSS class."""
        text = html.escape(text)
        return (
            f'<span class="point {kind}" style="left:{100 * x:.1f}%;bottom:{100 * y:.1f}%" '
            f'role="img" aria-label="{text}" tabindex="{0 if "wrong" in kind else -1}">'
            f'<span class="{self.name}" style="background-position:{-self.side * i}px 0">'
            f"{text}</span></span>"
        )
