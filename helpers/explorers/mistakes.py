"""Mistakes: a model that may stay silent answers fewer pictures, and more of them right."""

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import PercentFormatter
from torch import nn
from torch.utils.data import DataLoader

from helpers.data import Loaders
from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, gallery, headline, percent, picture, table, to_image
from helpers.metrics import predict
from helpers.plots import RIGHT, WRONG

THRESHOLDS = {f"{100 * t:g} %": t for t in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)}
MOST_SHOWN = 4


def mistakes(
    model: nn.Module, loaders: Loaders, device: torch.device, *, split: str = "val"
) -> Explorer:
    """Explore on how many pictures a model is sure enough to answer, and how often it is right."""
    pictures, names = loaders.split(split).dataset, loaders.class_names
    logits, labels = predict(model, DataLoader(pictures, 50), device)
    sure, predicted = logits.softmax(dim=1).max(dim=1)
    wrong, total = predicted != labels, len(labels)

    found: dict[str, tuple[int, int]] = {}  # how many it answers, and how many of them wrongly
    for text, threshold in THRESHOLDS.items():
        answered = sure >= threshold
        found[text] = int(answered.sum()), int((answered & wrong).sum())

    def show(text: str) -> str:
        answered, num_wrong = found[text]
        said = f"It answers {answered} of {total} pictures, {num_wrong} of them wrongly."
        said += f" The surest {MOST_SHOWN} of these:" if num_wrong > MOST_SHOWN else ""
        order = (sure * (wrong & (sure >= THRESHOLDS[text]))).argsort(descending=True)
        worst = [mistake(i) for i in order[: min(num_wrong, MOST_SHOWN)].tolist()]
        shown = gallery(worst) if worst else "<p>No mistake is among these answers.</p>"
        return f"{headline(said)}{draw(text, said)}{shown}"

    def mistake(i: int) -> str:
        said, true = names[predicted[i]], names[labels[i]]
        text = f"says {said}, {percent(sure[i].item())}; is {true}"
        return picture(to_image(pictures[i][0], loaders), text)

    def draw(text: str, alt: str) -> str:
        figure, ax = plt.subplots(figsize=(4.6, 2.2), layout="constrained")
        shares = {t: (n / total, 1 - k / n) for t, (n, k) in found.items() if n}
        ax.plot(*zip(*shares.values(), strict=True), "o-", color=RIGHT, markersize=4)
        if text in shares:
            ax.plot(*shares[text], "o", color=WRONG, markersize=9)
        ax.set(xlabel="share of the pictures that it answers", ylabel="right, of those")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        return chart(figure, alt)

    num_wrong, (answered, remain) = int(wrong.sum()), found["90 %"]
    question = (
        f"The model is wrong on {num_wrong} of {total} pictures. Now it stays silent where its "
        "probability is below 90 %. How many of those mistakes remain?"
    )
    if not num_wrong:
        question = (
            f"The model is right on all {total} pictures. On how many of them is its probability "
            "at least 90 %?"
        )
    return Explorer(
        question=question,
        guesses=("more than two thirds", "one to two thirds", "less than one third"),
        controls=[Control("It answers where its probability is at least", tuple(THRESHOLDS))],
        show=show,
        answer=f"Measured: it answers {answered} of {total} pictures, and {remain} of its "
        f"{num_wrong} mistakes remain.",
        in_words=table(
            ("probability of at least", "answers", "of them wrong"),
            ((text, *numbers) for text, numbers in found.items()),
        ),
    )
