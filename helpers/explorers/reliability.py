"""How sure may a head be? A temperature, a threshold, and what both do to its answers."""

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, headline, percent, table
from helpers.plots import NEUTRAL, RIGHT, WRONG

THRESHOLDS = (0.0, 0.6, 0.7, 0.8, 0.9, 0.95)
BINS = 5


def reliability(logits: Tensor, labels: Tensor, temperature: float) -> Explorer:
    """Explore a head's logits `(N, num_classes)` on pictures with these labels `(N,)`.

    temperature: the one that was fitted; others stand beside it.
    """
    names = {f"{t:.2g}": t for t in (0.5, 1.0, 2.0, 4.0)}
    names[f"{temperature:.2f}, fitted"] = temperature
    names = dict(sorted(names.items(), key=lambda item: item[1]))

    def read(name: str, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
        confidence, answers = (logits / names[name]).softmax(dim=1).max(dim=1)
        return confidence, answers == labels, confidence >= threshold

    def told(name: str, threshold: float) -> tuple[str, ...]:
        confidence, right, answered = read(name, threshold)
        some = percent(right[answered].float().mean().item()) if answered.any() else "none"
        return percent(confidence.mean().item()), percent(answered.float().mean().item()), some

    def show(name: str, threshold: str) -> str:
        confidence, right, answered = read(name, least := limits[threshold])
        figure, ax = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
        low = 1 / logits.shape[1]
        ax.plot([low, 1], [low, 1], "--", color=NEUTRAL)
        bins = (BINS * (confidence - low) / (1 - low)).long().clamp(max=BINS - 1)
        for k in bins.unique():
            x, y = confidence[bins == k].mean(), right[bins == k].float().mean()
            ax.plot(x, y, "o", color=RIGHT, ms=4 + (bins == k).sum().item() ** 0.5)
        ax.axvline(max(least, low), color=WRONG, linewidth=1)
        ax.set(ylim=(0, 1.05), xlabel="confidence", ylabel="share that is right")
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        sure, share, some = told(name, least)
        text = f"It is right on {percent(right.float().mean().item())}, and says {sure}. "
        text += f"It answers {share} of the pictures; of these answers, right: {some}."
        return f"{headline(text)}{chart(figure, text)}"

    limits = {"none" if t == 0 else percent(t, 0): t for t in THRESHOLDS}
    one, fitted = list(names).index("1"), list(names)[-1]
    rows = ((name, limit, *told(name, limits[limit])) for name in names for limit in limits)
    fitted = next(name for name in names if name.endswith("fitted"))
    return Explorer(
        question="Without its temperature, a head is sure of an answer to 80 % or more. Which "
        "temperature makes it most honest, and how many answers of all does it change?",
        guesses=("below 1; some", "below 1; none", "above 1; some", "above 1; none"),
        controls=[
            Control("Temperature", tuple(names), one),
            Control("Say “neither” below", tuple(limits)),
        ],
        show=show,
        answer=f"The one with the least loss is {names[fitted]:.2f}. It changes no answer.",
        in_words=table(
            ("temperature", "neither below", "says", "answers", "of these, right"), rows
        ),
    )
