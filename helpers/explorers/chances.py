"""Is it luck? Two methods, one of them truly better, and what a test may show of them."""

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from torch.distributions import Binomial

from helpers.explorers.form import Explorer, chart
from helpers.plots import RIGHT, WRONG

WORSE = 0.8  # how often the worse one is truly right
GAINS = {"0 points": 0.0, "1 point": 0.01, "2 points": 0.02, "5 points": 0.05}
COUNTS, EPOCHS = (50, 150, 500, 2000, 10_000), (1, 5, 20)


def luck() -> Explorer:
    """Explore how often the worse of two methods looks at least as good as the better one."""
    by_count = [f"{chance_of_flip(0.02, count, 1):.0%} with {count:,} pictures" for count in COUNTS]
    return Explorer(
        "One method is right on 80 % of all pictures, another on 82 %. You test each once, on 150 "
        "pictures. How often does the worse one look at least as good?",
        ("1 time in 100", "1 time in 10", "1 time in 3", "every second time"),
        {
            "The better one is better by": tuple(GAINS),
            "Pictures in the test": [f"{count:,}" for count in COUNTS],
            "Reported: the best of so many epochs": EPOCHS,
        },
        show,
        start=(2, 1, 0),
        answer=f"Calculated: {chance_of_flip(0.02, 150, 1):.0%} of the times.",
        in_words="<p>How often the worse of two methods looks at least as good as one that is two "
        f"points better: {'; '.join(by_count)}.</p>",
    )


def show(gain: str, pictures: str, epochs: int) -> str:
    """Draw the accuracies that a test may show, and say how often they have the wrong order."""
    count = int(pictures.replace(",", ""))
    figure, ax = plt.subplots(figsize=(4.6, 2.2), layout="constrained")
    better = WORSE + GAINS[gain]
    for name, accuracy, color in (("worse", WORSE, WRONG), ("better", better, RIGHT)):
        chances = best_counts(accuracy, count, epochs)
        drawn = (chances > chances.max() / 1000).nonzero().flatten()[:: max(1, count // 250)]
        height = chances[drawn] / chances.max()
        ax.fill_between(drawn / count, height, color=color, alpha=0.2, linewidth=0)
        ax.plot(drawn / count, height, color=color, label=f"{name}, truly {accuracy:.0%}")
    ax.set(xlim=(0.6, 1), ylim=(0, 1.4), yticks=[], xlabel="accuracy that the test shows")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper left", ncols=2)
    flip = chance_of_flip(GAINS[gain], count, epochs)
    text = f"The worse one looks at least as good in {flip:.1%} of all such tests."
    return f"<p><b>{text}</b></p>{chart(figure, text)}"


def chance_of_flip(gain: float, count: int, epochs: int) -> float:
    """Return how likely the worse method has at least as many right answers."""
    worse, better = (best_counts(WORSE + more, count, epochs) for more in (0, gain))
    return float((worse * better.cumsum(0)).sum())


def best_counts(accuracy: float, count: int, epochs: int) -> Tensor:
    """Return how likely each number of right answers is, `(count + 1,)`, as the best of epochs.

    The epochs are equally good and have each a luck of its own; that of real epochs is more alike.
    """
    numbers = torch.arange(count + 1, dtype=torch.float64)
    once = Binomial(count, torch.tensor(accuracy, dtype=torch.float64)).log_prob(numbers).exp()
    return (once.cumsum(0) ** epochs).diff(prepend=numbers[:1])
