"""What chapter 8 shows with one seed: its cells, run with others."""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import nbformat
from torch import Tensor

from tools.measure.groups import Group, Row
from tools.measure.write_tables import ROOT


def lesson(seed: int) -> dict[str, Any]:
    """Run the cells before the exercises; return the names that they bind."""
    names: dict[str, Any] = {}
    plt.switch_backend("agg")
    for cell in nbformat.read(ROOT / "notebooks" / "08_your_own_pictures.ipynb", 4).cells:
        if "## Exercises" in cell.source:
            break
        if cell.cell_type == "code":
            source = cell.source.replace("%config", "#")
            exec(source.replace("seed = 0", f"seed = {seed}"), names)
    return names


def own(seed: int) -> Iterator[Row]:
    """Give what was found in the messy folder, and what the heads say of its test pictures."""
    names = lesson(seed)
    labels, truth, right = names["labels"], names["truth"], names["right"]
    for many in (len(truth), names["look_at"]):
        found = names["wrong"][names["worst"][:many]].sum().item() / len(truth)
        yield f"wrong labels, the first {many}", "share", found
    for run, key in (("before", "before"), ("after", "logits")):
        yield f"agreement, {run}", "share", share(names[key].argmax(dim=1) == labels)
    for run, prior in (("as it is", 0), ("without the prior", names["prior"].log())):
        correct = (names["logits"] - prior).argmax(dim=1) == labels
        yield run, "accuracy", share(correct)
        for k, name in enumerate(names["class_names"]):
            yield run, f"recall of {name}", share(correct[labels == k])
    for run, t in (("as it is", 1.0), ("with its temperature", names["temperature"])):
        confidence, answers = (names["sure_test"] / t).softmax(dim=1).max(dim=1)
        yield f"sure, {run}", "temperature", t
        yield f"sure, {run}", "mean confidence", confidence.mean().item()
        yield f"sure, {run}", "test accuracy", share(answers == labels[names["test"]])
    for name, away in names["shares"].items():
        yield f"turned away, {name}", "share", share(away)
    yield "right, all answers", "share", share(right)
    yield "right, answers given", "share", share(right[names["answered"]])


def share(right: Tensor) -> float:
    """Return the share that is true."""
    return right.float().mean().item()


GROUPS = [Group("own pictures", "own", own)]
