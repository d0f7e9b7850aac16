"""How sure may a head be? A temperature, a threshold, and what they do to its answers."""

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, headline, percent, table
from helpers.plots import NEUTRAL, RIGHT, WRONG

LIMITS = {"none": 0.0, "70 %": 0.7, "80 %": 0.8, "90 %": 0.9, "95 %": 0.95}
BINS = 5


def reliability(logits: Tensor, labels: Tensor, fitted: float) -> Explorer:
    """Explore logits `(N, num_classes)` of pictures with labels `(N,)`; `fitted` is the best T."""
    own = f"{fitted:.2f}, fitted"
    temperatures = {"0.5": 0.5, "1": 1.0, "2": 2.0, "4": 4.0, own: fitted}
    least = 1 / logits.shape[1]

    def told(name: str, limit: str) -> tuple[str, ...]:
        confidence, right = ask(logits / temperatures[name], labels)
        given = right[confidence >= LIMITS[limit]]
        some = percent(given.mean().item()) if len(given) else "–"
        return percent(confidence.mean().item()), percent(len(given) / len(right)), some

    def show(name: str, limit: str) -> str:
        confidence, right = ask(logits / temperatures[name], labels)
        figure, ax = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
        ax.plot([least, 1], [least, 1], "--", color=NEUTRAL)
        bins = (BINS * (confidence - least) / (1 - least)).long().clamp(max=BINS - 1)
        for here in (bins == k for k in bins.unique()):
            width = 4 + here.sum().item() ** 0.5
            ax.plot(confidence[here].mean(), right[here].mean(), "o", color=RIGHT, ms=width)
        ax.axvline(max(LIMITS[limit], least), color=WRONG)
        ax.set(ylim=(0, 1.05), xlabel="confidence", ylabel="share that is right")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        sure, answered, some = told(name, limit)
        text = f"Right on {percent(right.mean().item())}, and {sure} sure on average. "
        text += f"It answers {answered} of the pictures, and {some} of these answers are right."
        return f"{headline(text)}{chart(figure, text)}"

    names = sorted(temperatures, key=temperatures.__getitem__)
    rows = ((name, limit, *told(name, limit)) for name in names for limit in LIMITS)
    return Explorer(
        question="A head has learned from few pictures, for long. Which temperature makes it "
        "honest, and how many of its answers does this temperature change?",
        guesses=("below 1, and some", "below 1, and none", "above 1, and some", "above 1, none"),
        controls=[
            Control("Temperature", names, names.index("1")),
            Control("It says “neither” below", tuple(LIMITS)),
        ],
        show=show,
        answer=f"The least loss is at {fitted:.2f}. No temperature changes an answer.",
        in_words=table(("temperature", "neither below", "sure", "answers", "right"), rows),
    )


def ask(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return how sure each answer is, and whether it is right, 0 or 1; each `(N,)`."""
    confidence, answers = logits.softmax(dim=1).max(dim=1)
    return confidence, (answers == labels).float()
