"""What all explorers are: a guess first, then controls, and what each setting shows.

In a notebook the controls are ipywidgets, and each setting is computed when it is chosen. A page
without a kernel holds what every setting gives, as HTML, and `static/explorers.js` shows the one
that is chosen. Both come from the same function.
"""

import html
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import ipywidgets

STYLE = Path(__file__).parent / "static" / "explorers.css"  # the site has it on every page
RUN_ME = '<p class="run-me">Run this cell, and it moves.</p>'  # in a notebook that was not run
MOST_BUTTONS = 6  # options of a control; more are a slider
FRAME = 350  # milliseconds
SURE = "This is my guess"


class Movable:
    """What a cell displays: a widget in a notebook, or HTML on a page."""

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        raise NotImplementedError

    def to_html(self) -> str:
        """Return the form for a page without a kernel."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_) -> Any:
        """Give a notebook the widget with its style.

        With EXPLORERS=page in the environment, give the page: for outputs that are stored.
        """
        if os.environ.get("EXPLORERS") == "page":
            return {"text/plain": type(self).__name__, "text/html": self.to_html()}
        style = ipywidgets.HTML(f"<style>{STYLE.read_text('utf8')}</style>")
        widget = ipywidgets.VBox([style, self.widget()])
        widget.add_class("explorer")
        return widget._repr_mimebundle_()


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

    def with_start(self) -> Iterator[tuple[str, list, int]]:
        """Go through the controls: label and options, and the index of the first choice."""
        for (label, options), at in zip(self.controls.items(), self.start, strict=True):
            yield label, options, at

    def shown(self, setting: Sequence[int]) -> str:
        """Return what a setting shows."""
        options = self.controls.values()
        return self.show(*(mine[i] for mine, i in zip(options, setting, strict=True)))

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook: a guess, then controls that compute."""
        guess = ipywidgets.RadioButtons(options=self.guesses, value=None)
        guess.layout.width = "auto"
        sure = ipywidgets.Button(description=SURE, disabled=True)
        controls: list[Any] = [choice(*control) for control in self.with_start()]
        said, shown = ipywidgets.HTML(), ipywidgets.HTML()
        explored = ipywidgets.VBox([said, *controls, shown, ipywidgets.HTML(in_words(self))])
        explored.layout.display = "none"

        def update(_=None) -> None:
            shown.value = self.shown([control.index for control in controls])

        def begin(_) -> None:
            said.value = f"<p>Your guess: <b>{html.escape(str(guess.value))}</b>. {self.answer}</p>"
            explored.layout.display = None
            guess.disabled = sure.disabled = True  # a guess is one

        guess.observe(lambda _: setattr(sure, "disabled", False), "value")
        sure.on_click(begin)
        for control in controls:
            control.observe(update, "index")
        update()
        question = ipywidgets.HTML(f"{self.shared}<b>{html.escape(self.question)}</b>")
        return ipywidgets.VBox([question, guess, sure, explored])

    def to_html(self) -> str:
        """Return the form for a page without a kernel: all settings, of which one shows."""
        shown = {" ".join(map(str, setting)): self.shown(setting) for setting in self.settings()}
        views = one_of(shown, " ".join(map(str, self.start)))
        controls = "".join(fieldset(*control) for control in self.with_start())
        return (
            f'<div class="explorer">{RUN_ME}{self.shared}'
            f"{fieldset(self.question, self.guesses, None, kind='guess')}"
            f'<button type="button" class="sure" disabled>{SURE}</button>'
            f'<div class="explored"><p class="said" role="status"></p>{controls}{views}'
            f"{in_words(self)}</div>"
            f'<script type="text/html" class="answer">{self.answer}</script></div>'
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
        at = choice(self.label, list(self.frames), 0)
        play = ipywidgets.Play(max=len(frames) - 1, interval=FRAME)
        shown = ipywidgets.HTML(frames[0])
        ipywidgets.jslink((play, "value"), (at, "index"))
        at.observe(lambda change: setattr(shown, "value", frames[change.new]), "index")
        return ipywidgets.VBox(
            [ipywidgets.HBox([play, at]), shown, ipywidgets.HTML(in_words(self))]
        )

    def to_html(self) -> str:
        """Return the form for a page without a kernel: all frames; without a script, the last."""
        last, label = len(self.frames) - 1, html.escape(self.label)
        views = one_of({str(i): frame for i, frame in enumerate(self.frames.values())}, str(last))
        return (
            f'<div class="explorer film" data-interval="{FRAME}">{RUN_ME}'
            f'<button type="button" class="play" aria-label="Play: {label}">Play</button>'
            f"{slider(self.label, list(self.frames), last)}{views}{in_words(self)}</div>"
        )


def in_words(movable: Explorer | Film) -> str:
    """Return what there is to see, folded."""
    return (
        '<details class="in-words"><summary>In words and numbers</summary>'
        f"<div>{movable.in_words}</div></details>"
    )


def one_of(views: Mapping[str, str], shown: str) -> str:
    """Return one view by its setting, and the others where nothing but a script finds them."""
    others = "".join(
        f'<script type="text/html" data-setting="{setting}">{view}</script>'
        for setting, view in views.items()
        if setting != shown
    )
    return f'<div class="view" data-setting="{shown}">{views[shown]}</div>{others}'


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
    buttons = "".join(
        f'<label><input type="radio" value="{i}"{" checked" if i == chosen else ""}>'
        f"<span>{html.escape(str(option))}</span></label>"
        for i, option in enumerate(options)
    )
    return f'<fieldset class="{kind}"><legend>{html.escape(label)}</legend>{buttons}</fieldset>'


def slider(label: str, options: Sequence[Any], chosen: int) -> str:
    """Return a slider over the options as HTML."""
    texts = [str(option) for option in options]
    at = html.escape(texts[chosen])
    return (
        f'<label class="control slider"><span>{html.escape(label)}: <b class="at">{at}</b></span>'
        f'<input type="range" min="0" max="{len(texts) - 1}" value="{chosen}" '
        f'aria-valuetext="{at}" data-texts="{html.escape(json.dumps(texts))}"></label>'
    )
