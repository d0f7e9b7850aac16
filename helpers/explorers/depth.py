"""How much to unfreeze: from which stage on to train, how fast, and in which mode BatchNorm is."""

import csv
from itertools import product
from pathlib import Path
from statistics import mean, median

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter
from torch import nn

from helpers.explorers.form import Explorer, chart, table
from helpers.ladder import fixed_statistics
from helpers.plots import RIGHT, WRONG

FILE = Path(__file__).with_suffix(".csv")  # by tools/measure/measure_unfreeze.py
COLUMNS = ["stage", "rate", "mode", "seed", "test accuracy", "seconds", "validation accuracies"]
STAGES = {  # what is trained, by the first of its layers
    "the head": "fc",
    "stage 4 and up": "layer4",
    "stage 3 and up": "layer3",
    "stage 2 and up": "layer2",
    "stage 1 and up": "layer1",
    "everything": "conv1",
}
RATES = (0.002, 0.008, 0.03)
MODES = {"training mode": nn.Module.train, "evaluation mode": fixed_statistics}


def unfreeze() -> Explorer:
    """Explore stored runs of a ResNet-18 on the rendered ants and bees, several seeds each."""
    runs = read()

    def chosen(stage: str, rate: float, mode: str) -> list[dict[str, str]]:
        rate = RATES[0] if stage == "the head" else rate  # the head has a rate of its own
        wanted = {"stage": stage, "rate": str(rate), "mode": mode}
        return [run for run in runs if wanted.items() <= run.items()]

    def show(stage: str, rate: float, mode: str) -> str:
        mine = chosen(stage, rate, mode)
        text = f"Test accuracy: {of_test(mine)}."
        return f"<p><b>{text}</b> {time_of(stage, runs)}</p>{draw(mine, text)}"

    settings = list(product(STAGES, RATES, MODES))
    best = max(settings, key=lambda setting: mean_test(chosen(*setting)))
    return Explorer(
        "244 rendered pictures, 12 epochs. From which stage on must a ResNet-18 be trained for the "
        "highest test accuracy?",
        tuple(STAGES),
        {"Train": tuple(STAGES), "Learning rate of the backbone": RATES, "BatchNorm": tuple(MODES)},
        show,
        start=(0, 1, 0),
        answer=f"Highest of all settings: {best[0]}, with a rate of {best[1]} and BatchNorm in "
        f"{best[2]}: {of_test(chosen(*best))}.",
        in_words=table(
            ("trained", "rate", "BatchNorm", "test accuracy"),
            ((*setting, of_test(chosen(*setting))) for setting in settings),
        ),
    )


def read() -> list[dict[str, str]]:
    """Read the stored runs."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf8") as file:
        return list(csv.DictReader(file))


def mean_test(runs: list[dict[str, str]]) -> float:
    """Return the mean test accuracy of some seeds; none where one of them was lost."""
    shares = [float(run["test accuracy"] or "-inf") for run in runs]
    return mean(shares)


def finished(runs: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the runs whose loss stayed a number."""
    return [run for run in runs if run["test accuracy"]]


def of_test(runs: list[dict[str, str]]) -> str:
    """Write the mean test accuracy of some seeds, with the lowest and the highest."""
    shares = [float(run["test accuracy"]) for run in finished(runs)]
    lost = f"the loss became infinite with {len(runs) - len(shares)} of {len(runs)} seeds"
    if not shares:
        return lost
    text = f"{mean(shares):.1%} ({min(shares):.1%}–{max(shares):.1%}, {len(shares)} seeds)"
    return text if len(shares) == len(runs) else f"{text}; {lost}"


def time_of(stage: str, runs: list[dict[str, str]]) -> str:
    """Write how long the training took, beside that of the head alone."""
    seconds = {
        name: median(float(run["seconds"]) for run in finished(runs) if run["stage"] == name)
        for name in (stage, "the head")
    }
    return f"It took {seconds[stage] / seconds['the head']:.1f} times as long as the head alone."


def draw(runs: list[dict[str, str]], alt: str) -> str:
    """Draw the validation accuracy by epoch, the mean and the range of the seeds; and the tests."""
    runs = finished(runs)
    if not runs:
        return ""
    curves = [list(map(float, run["validation accuracies"].split())) for run in runs]
    epochs = list(zip(*curves, strict=True))
    x = range(1, len(epochs) + 1)
    figure, ax = plt.subplots(figsize=(4.6, 2.4), layout="constrained")
    low, high = list(map(min, epochs)), list(map(max, epochs))
    ax.fill_between(x, low, high, color=RIGHT, alpha=0.2, linewidth=0)
    ax.plot(x, list(map(mean, epochs)), color=RIGHT, label="validation")
    tests = [float(run["test accuracy"]) for run in runs]
    ax.plot([len(epochs) + 0.7] * len(tests), tests, "o", color=WRONG, markersize=4, label="test")
    ax.set(xlabel="epoch", ylim=(0.4, 1.01))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="lower right")
    return chart(figure, alt)
