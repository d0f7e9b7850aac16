"""How much to unfreeze: from which stage on to train, how fast, and in which mode BatchNorm is."""

import csv
from itertools import product
from pathlib import Path
from statistics import mean

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
MODES = {"training mode": nn.Module.train, "fixed": fixed_statistics}


def unfreeze() -> Explorer:
    """Explore stored runs of a ResNet-18 on the rendered ants and bees, several seeds each."""
    runs = read()

    def chosen(stage: str, rate: float, mode: str) -> list[dict[str, str]]:
        rate = RATES[0] if stage == "the head" else rate  # the head has a rate of its own
        wanted = {"stage": stage, "rate": str(rate), "mode": mode}
        return [run for run in runs if wanted.items() <= run.items()]

    def show(stage: str, rate: float, mode: str) -> str:
        mine = chosen(stage, rate, mode)
        seconds = mean(float(run["seconds"]) for run in mine)
        text = f"Test accuracy {of_test(mine)}, {seconds:.0f} seconds on one thread."
        return f"<p><b>{text}</b></p>{draw(mine, text)}"

    settings = list(product(STAGES, RATES, MODES))
    best, _, _ = max(settings, key=lambda setting: of_test(chosen(*setting)))
    return Explorer(
        "244 rendered pictures, 12 epochs. From which stage on must a ResNet-18 be trained for the "
        "highest test accuracy?",
        tuple(STAGES),
        {"Train": tuple(STAGES), "Learning rate of the backbone": RATES, "BatchNorm": tuple(MODES)},
        show,
        start=(0, 1, 0),
        answer=f"Highest of all settings: {best}.",
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


def of_test(runs: list[dict[str, str]]) -> str:
    """Write the mean test accuracy of some seeds, with the lowest and the highest."""
    shares = [float(run["test accuracy"]) for run in runs]
    return f"{mean(shares):.1%} ({min(shares):.1%}–{max(shares):.1%}, {len(shares)} seeds)"


def draw(runs: list[dict[str, str]], alt: str) -> str:
    """Draw the validation accuracy by epoch, the mean and the range of the seeds; and the tests."""
    curves = [list(map(float, run["validation accuracies"].split())) for run in runs]
    epochs = list(zip(*curves, strict=True))
    x = range(1, len(epochs) + 1)
    figure, ax = plt.subplots(figsize=(4.6, 2.4), layout="constrained")
    ax.fill_between(x, list(map(min, epochs)), list(map(max, epochs)), color=RIGHT, alpha=0.2)
    ax.plot(x, list(map(mean, epochs)), color=RIGHT, label="validation")
    tests = [float(run["test accuracy"]) for run in runs]
    ax.plot([len(epochs) + 0.7] * len(tests), tests, "o", color=WRONG, label="test")
    ax.set(xlabel="epoch", ylim=(0.4, 1.01))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="lower right")
    return chart(figure, alt)
