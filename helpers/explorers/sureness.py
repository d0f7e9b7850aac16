"""Mistakes: a model that may stay silent answers fewer pictures, and more of them right."""

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import PercentFormatter
from torch import nn

from helpers.data import Loaders
from helpers.explorers.form import Explorer, chart, table, thumbnail, thumbnails
from helpers.metrics import predict
from helpers.plots import RIGHT, WRONG

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
MOST_SHOWN = 4


def mistakes(
    model: nn.Module, loaders: Loaders, device: torch.device, *, split: str = "val"
) -> Explorer:
    """Explore on how many pictures a model is sure enough to answer, and how often it is right."""
    logits, labels = predict(model, loaders.part(split), device)
    sure, predicted = logits.softmax(dim=1).max(dim=1)
    wrong, pictures = predicted != labels, loaders.part(split).dataset
    names, thresholds = loaders.class_names, {percent(t): t for t in THRESHOLDS}

    def counts(threshold: float) -> tuple[int, int]:
        answered = sure >= threshold
        return int(answered.sum()), int((answered & wrong).sum())

    def show(text: str) -> str:
        threshold = thresholds[text]
        answered, num_wrong = counts(threshold)
        found = f"It answers {answered} of {len(labels)} pictures, {num_wrong} of them wrongly."
        order = (sure * (wrong & (sure >= threshold))).argsort(descending=True)
        worst = [shown(i) for i in order[: min(num_wrong, MOST_SHOWN)].tolist()]
        return f"<p><b>{found}</b></p>{draw(threshold, found)}{thumbnails(worst)}"

    def shown(i: int) -> str:
        said, true = names[predicted[i]], names[labels[i]]
        return thumbnail(pictures[i][0], loaders, f"{said} {sure[i]:.0%}, but {true}")

    def draw(threshold: float, alt: str) -> str:
        figure, ax = plt.subplots(figsize=(4.6, 2.2), layout="constrained")
        found = {t: counts(t) for t in THRESHOLDS}
        shares = {t: (n / len(labels), 1 - k / max(1, n)) for t, (n, k) in found.items()}
        ax.plot(*zip(*shares.values(), strict=True), "o-", color=RIGHT, markersize=4)
        ax.plot(*shares[threshold], "o", color=WRONG, markersize=9)
        ax.set(xlabel="share of the pictures that it answers", ylabel="right, of those")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        return chart(figure, alt)

    rows = ((text, *counts(threshold)) for text, threshold in thresholds.items())
    return Explorer(
        f"The model is wrong on {int(wrong.sum())} of {len(labels)} pictures. Now it may stay "
        "silent where its probability is below 90 %. How many of those mistakes remain?",
        ("nearly all", "about half", "nearly none"),
        {"It answers from a probability of": tuple(thresholds)},
        show,
        answer=f"Measured: {counts(0.9)[1]} of {int(wrong.sum())} remain, and it answers "
        f"{counts(0.9)[0]} of {len(labels)} pictures.",
        in_words=table(("from a probability of", "answers", "of them wrong"), rows),
    )


def percent(share: float) -> str:
    """Write a share with as many digits as it needs."""
    return f"{100 * share:g} %"
