"""The form of all explorers: controls, and a function that returns what each setting shows.

In a notebook the controls are ipywidgets, and a setting is computed when it is chosen. A page
without a kernel holds the HTML of every setting, and `static/explorers.js` shows the chosen one.
"""

import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import ipywidgets

STYLE = Path(__file__).parent / "static" / "explorers.css"  # the site has it on every page
RUN_ME = '<p class="run-me">Run this cell, and it moves.</p>'  # in a notebook that was not run
FRAME = 350  # milliseconds
SURE = "This is my guess"


class Movable:
    """What the last line of a cell displays: a widget in a notebook, or HTML on a page."""

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        raise NotImplementedError

    def to_html(self) -> str:
        """Return the form for a page without a kernel."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_) -> Any:
        """Return the widget with its style; the HTML where EXPLORERS=page is set, to be stored."""
        if os.environ.get("EXPLORERS") == "page":
            return {"text/plain": type(self).__name__, "text/html": self.to_html()}
        style = ipywidgets.HTML(f"<style>{STYLE.read_text('utf8')}</style>")
        widget = ipywidgets.VBox([style, self.widget()])
        widget.add_class("explorer")
        return widget._repr_mimebundle_()


@dataclass
class Control:
    """A choice of one option: by buttons, or by a slider where there are more than a few."""

    label: str
    options: Sequence[Any]
    start: int | None = 0  # the index of the option that is chosen at first
    most_buttons: int = 6
    kind: str = "control"

    def widget(self) -> Any:
        """Make the control for a notebook; its `index` is that of the chosen option."""
        few = len(self.options) <= self.most_buttons
        kind = ipywidgets.ToggleButtons if few else ipywidgets.SelectionSlider
        control = kind(options=list(map(str, self.options)), index=self.start)
        control.description, control.style.description_width = self.label, "initial"
        return control

    def to_html(self) -> str:
        """Return the control as HTML."""
        label, texts = html.escape(self.label), list(map(str, self.options))
        if len(texts) > self.most_buttons:
            at = html.escape(texts[self.start or 0])
            return (
                f'<label class="control slider"><span>{label}: <b class="at">{at}</b></span>'
                f'<input type="range" min="0" max="{len(texts) - 1}" value="{self.start}" '
                f'aria-valuetext="{at}" data-texts="{html.escape(json.dumps(texts))}"></label>'
            )
        buttons = "".join(
            f'<label><input type="radio" value="{i}"{" checked" if i == self.start else ""}>'
            f"<span>{html.escape(text)}</span></label>"
            for i, text in enumerate(texts)
        )
        return f'<fieldset class="{self.kind}"><legend>{label}</legend>{buttons}</fieldset>'


@dataclass(kw_only=True)
class Views(Movable):
    """Controls, and what each setting of them shows: what explorers and films are made of."""

    controls: Sequence[Control]
    show: Callable[..., str]
    in_words: str

    def shown(self, setting: Sequence[int]) -> str:
        """Return what a setting shows: the index of the option of each control."""
        chosen = zip(self.controls, setting, strict=True)
        return self.show(*(control.options[i] for control, i in chosen))

    def words(self) -> str:
        """Return the words, folded."""
        summary = '<details class="in-words"><summary>In words and numbers</summary>'
        return f"{summary}<div>{self.in_words}</div></details>"

    def widget(self) -> Any:
        """Make the controls for a notebook, and what they show."""
        controls, shown = [control.widget() for control in self.controls], ipywidgets.HTML()

        def update(_=None) -> None:
            shown.value = self.shown([control.index for control in controls])

        for control in controls:
            control.observe(update, "index")
        update()
        return ipywidgets.VBox([*controls, shown, ipywidgets.HTML(self.words())])

    def to_html(self) -> str:
        """Return the controls as HTML, what they show at first, and what else they may show.

        That lies in scripts of no language, where nothing but `explorers.js` finds it.
        """
        settings = product(*(range(len(control.options)) for control in self.controls))
        views = {" ".join(map(str, setting)): self.shown(setting) for setting in settings}
        first = " ".join(str(control.start) for control in self.controls)
        view = f'<div class="view" data-setting="{first}">{views.pop(first)}</div>'
        others = (
            f'<script type="text/html" data-setting="{setting}">{other}</script>'
            for setting, other in views.items()
        )
        controls = (control.to_html() for control in self.controls)
        return "".join([*controls, view, *others, self.words()])


@dataclass(kw_only=True)
class Explorer(Views):
    """A question, which the reader answers by a guess, and then controls to explore it with.

    question, guesses: what the reader commits to before anything is shown; plain text.
    controls: what the reader may choose.
    show: takes the chosen option of each control, in their order; returns HTML.
    answer: what was found, shown beside the reader's guess; HTML.
    in_words: what there is to see, for print and for who can't use the controls; HTML.
    shared: what all settings use, such as a style sheet; HTML.
    """

    question: str
    guesses: Sequence[str]
    answer: str
    shared: str = ""

    def widget(self) -> Any:
        """Make the form for a notebook: a guess, then controls that compute."""
        guess = ipywidgets.RadioButtons(options=self.guesses, value=None)
        guess.layout.width = "auto"
        sure = ipywidgets.Button(description=SURE, disabled=True)
        said = ipywidgets.HTML()
        explored = ipywidgets.VBox([said, super().widget()])
        explored.layout.display = "none"

        def begin(_) -> None:
            said.value = f"<p>Your guess: <b>{html.escape(str(guess.value))}</b>. {self.answer}</p>"
            explored.layout.display = None
            guess.disabled = sure.disabled = True  # there is one guess

        guess.observe(lambda _: setattr(sure, "disabled", False), "value")
        sure.on_click(begin)
        question = ipywidgets.HTML(f"{self.shared}<b>{html.escape(self.question)}</b>")
        return ipywidgets.VBox([question, guess, sure, explored])

    def to_html(self) -> str:
        """Return the form for a page without a kernel."""
        guess = Control(self.question, self.guesses, None, kind="guess")
        return (
            f'<div class="explorer">{RUN_ME}{self.shared}{guess.to_html()}'
            f'<button type="button" class="sure" disabled>{SURE}</button>'
            f'<div class="explored"><p class="said" role="status"></p>{super().to_html()}</div>'
            f'<script type="text/html" class="answer">{self.answer}</script></div>'
        )


class Film(Views):
    """Frames that a reader plays, or goes through with a slider."""

    def __init__(self, label: str, frames: Mapping[str, str], in_words: str):
        """Take the frames as HTML, by their names; `label` says what the names count.

        in_words: what there is to see, for print and for who can't see it; HTML.
        """
        # A page without a script shows the last frame; otherwise a film starts with the first.
        slider = Control(label, list(frames), len(frames) - 1, most_buttons=0)
        super().__init__(controls=[slider], show=frames.__getitem__, in_words=in_words)

    def widget(self) -> Any:
        """Make the form for a notebook."""
        views = super().widget()
        slider = views.children[0]
        slider.index = 0
        play = ipywidgets.Play(max=len(slider.options) - 1, interval=FRAME)
        ipywidgets.jslink((play, "value"), (slider, "index"))
        return ipywidgets.VBox([play, views])

    def to_html(self) -> str:
        """Return the form for a page without a kernel."""
        label = html.escape(self.controls[0].label)
        return (
            f'<div class="explorer film" data-interval="{FRAME}">{RUN_ME}'
            f'<button type="button" class="play" aria-label="Play: {label}">Play</button>'
            f"{super().to_html()}</div>"
        )
