"""How much to unfreeze: from which stage on to train, how fast, and in which mode BatchNorm is."""

import csv
from itertools import product
from pathlib import Path
from statistics import mean, median

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import chart, headline, percent, table
from helpers.plots import RIGHT, WRONG

FILE = Path(__file__).with_suffix(".csv")  # by tools/measure/measure_unfreeze.py
HEAD = "the head"  # of whose rows each has the first rate, which plays no part
Runs = list[dict[str, str]]


def unfreeze() -> Explorer:
    """Explore stored runs of a ResNet-18 on the rendered ants and bees, several seeds each."""
    runs = read()
    stages, rates, modes = (
        list(dict.fromkeys(run[column] for run in runs)) for column in ("stage", "rate", "mode")
    )

    def chosen(stage: str, rate: str, mode: str) -> Runs:
        wanted = {"stage": stage, "rate": rates[0] if stage == HEAD else rate, "mode": mode}
        return [run for run in runs if wanted.items() <= run.items()]

    def show(stage: str, rate: str, mode: str) -> str:
        mine = chosen(stage, rate, mode)
        text = f"Test accuracy: {of_test(mine)}."
        times = seconds(stage, runs) / seconds(HEAD, runs)
        note = f"Time, with measuring after each epoch: {times:.1f} times that of the head alone."
        if stage == HEAD:
            note = "The rate of the backbone plays no part here. Times are relative to this one."
        return f"{headline(text)}<p>{note}</p>{draw(mine, text)}"

    settings = [s for s in product(stages, rates, modes) if s[0] != HEAD or s[1] == rates[0]]
    stage, rate, mode = max(settings, key=lambda setting: validation(chosen(*setting)))
    at = "" if stage == HEAD else f" with a rate of {rate} and"
    return Explorer(
        question="244 rendered pictures, 12 epochs, three rates to choose from. From which stage "
        "on would you train a ResNet-18?",
        guesses=stages,
        controls=[
            Control("Train", stages),
            Control("Rate of the backbone", rates, 1),
            Control("All BatchNorm in", modes),
        ],
        show=show,
        answer=f"Best on the validation pictures: {stage},{at} BatchNorm in {mode}. It has "
        f"{of_test(chosen(stage, rate, mode))} of the test pictures right. Another setting may be "
        "higher there; to choose by the test pictures would flatter it.",
        in_words=table(
            ("trained", "rate", "BatchNorm", "test accuracy"),
            (
                (stage, "–" if stage == HEAD else rate, mode, of_test(chosen(stage, rate, mode)))
                for stage, rate, mode in settings
            ),
        ),
    )


def read() -> Runs:
    """Read the stored runs."""
    with FILE.open(encoding="utf8") as file:
        return list(csv.DictReader(file))


def finished(runs: Runs) -> Runs:
    """Return the runs whose loss stayed a number."""
    return [run for run in runs if run["test accuracy"]]


def curves(runs: Runs) -> list[list[float]]:
    """Return the validation accuracies of each run, an epoch each."""
    return [list(map(float, run["validation accuracies"].split())) for run in finished(runs)]


def validation(runs: Runs) -> float:
    """Return the mean of the best validation accuracies; 0 where a run was lost."""
    lost = len(finished(runs)) < len(runs)
    return 0.0 if lost else mean(max(curve) for curve in curves(runs))


def of_test(runs: Runs) -> str:
    """Write the mean test accuracy of some seeds, with the lowest and the highest."""
    shares = [float(run["test accuracy"]) for run in finished(runs)]
    failed = f"training failed with {len(runs) - len(shares)} of {len(runs)} seeds"
    lost = f"{failed}: the loss became NaN, not a number"
    if not shares:
        return lost
    text = f"{percent(mean(shares))} with one seed"
    if len(shares) > 1:
        ends = f"{percent(min(shares))} to {percent(max(shares))}"
        text = f"{percent(mean(shares))} ({ends}, {len(shares)} seeds)"
    return text if len(shares) == len(runs) else f"{text}; {lost}"


def seconds(stage: str, runs: Runs) -> float:
    """Return the median time of training from a stage on."""
    return median(float(run["seconds"]) for run in finished(runs) if run["stage"] == stage)


def draw(runs: Runs, alt: str) -> str:
    """Draw the validation accuracy by epoch, the mean and the range of the seeds; and the tests."""
    if not (found := curves(runs)):
        return ""
    epochs = list(zip(*found, strict=True))
    x = range(1, len(epochs) + 1)
    figure, ax = plt.subplots(figsize=(4.6, 2.4), layout="constrained")
    low, high = list(map(min, epochs)), list(map(max, epochs))
    ax.fill_between(x, low, high, color=RIGHT, alpha=0.2, linewidth=0)
    ax.plot(x, list(map(mean, epochs)), color=RIGHT, label="validation")
    tests = [float(run["test accuracy"]) for run in finished(runs)]
    ax.plot([len(epochs) + 0.7] * len(tests), tests, "o", color=WRONG, markersize=4, label="test")
    ax.set(xlabel="epoch", ylim=(0.4, 1.01))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="lower right")
    return chart(figure, alt)
