"""Is it luck? Two methods, one of them truly better, and what a test may show of them."""

from itertools import product

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from torch.distributions import Binomial

from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, headline, percent, table
from helpers.plots import RIGHT, WRONG

FIRST = 0.8  # how often the first method is truly right
GAINS = {"0 points": 0.0, "1 point": 0.01, "2 points": 0.02, "5 points": 0.05}
COUNTS, TRIES = (50, 150, 500, 2000, 10_000), (1, 5, 20)


def luck() -> Explorer:
    """Explore how often the worse of two methods looks at least as good as the better one."""
    rows = (
        (gain, f"{count:,}", tries, percent(chance_of_flip(GAINS[gain], count, tries)))
        for gain, count, tries in product(GAINS, COUNTS, TRIES)
    )
    return Explorer(
        question="Method A is right on 80 % of all pictures, method B on 82 %. You test each of "
        "them once, on 150 pictures of its own. How often will A look at least as good as B?",
        guesses=("1 time in 100", "1 time in 10", "1 time in 3", "2 times in 3"),
        controls=[
            Control("B is truly better by", tuple(GAINS), 2),
            Control("Pictures in each test", [f"{count:,}" for count in COUNTS], 1),
            Control("Tries of A, of which only the best is reported", TRIES),
        ],
        show=show,
        answer=f"Calculated: in {percent(chance_of_flip(0.02, 150, 1))} of such tests.",
        in_words=table(("B is better by", "pictures", "tries of A", "A looks as good"), rows),
    )


def show(gain: str, pictures: str, tries: int) -> str:
    """Draw the accuracies that a test may show, and say how often they have the wrong order."""
    count = int(pictures.replace(",", ""))
    figure, ax = plt.subplots(figsize=(4.6, 2.2), layout="constrained")
    best = f"A, best of {tries}" if tries > 1 else f"A, truly {percent(FIRST, 0)}"
    second = FIRST + GAINS[gain]
    for name, chances, color in (
        (best, best_counts(FIRST, count, tries), WRONG),
        (f"B, truly {percent(second, 0)}", best_counts(second, count, 1), RIGHT),
    ):
        drawn = (chances > chances.max() / 1000).nonzero().flatten()
        drawn = drawn[:: max(1, len(drawn) // 50)]
        height = chances[drawn] / chances.max()
        ax.fill_between(drawn / count, height, color=color, alpha=0.2, linewidth=0)
        ax.plot(drawn / count, height, color=color, label=name)
    ax.set(xlim=(0.6, 1), ylim=(0, 1.4), yticks=[], xlabel="accuracy that the test shows")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper left", ncols=2)
    flip = percent(chance_of_flip(GAINS[gain], count, tries))
    text = f"A looks at least as good as B in {flip} of such tests."
    return f"{headline(text)}{chart(figure, text)}"


def chance_of_flip(gain: float, count: int, tries: int) -> float:
    """Return how likely the best try of A has at least as many right answers as B."""
    first, second = best_counts(FIRST, count, tries), best_counts(FIRST + gain, count, 1)
    return float((first * second.cumsum(0)).sum())


def best_counts(accuracy: float, count: int, tries: int) -> Tensor:
    """Return how likely each number of right answers is, `(count + 1,)`, in the best of tries.

    The tries are equally good, and each has a luck of its own: real ones are more alike.
    """
    numbers = torch.arange(count + 1, dtype=torch.float64)
    once = Binomial(count, torch.tensor(accuracy, dtype=torch.float64)).log_prob(numbers).exp()
    return (once.cumsum(0) ** tries).diff(prepend=numbers[:1])
