"""What chapter 8 shows with one seed: its cells are run with others."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import nbformat
from torch import Tensor

from tools.measure.groups import Group, Row
from tools.measure.write_tables import ROOT

NOTEBOOK = ROOT / "notebooks" / "08_your_own_pictures.ipynb"


def lesson(seed: int) -> dict[str, Any]:
    """Run the cells before the exercises; return the names that they bind."""
    names: dict[str, Any] = {"get_ipython": lambda: None}
    plt.switch_backend("agg")
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            source = cell.source.replace("%config", "# ").replace("seed = 0", f"seed = {seed}")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(source, names)
            plt.close("all")
        elif "## Exercises" in cell.source:
            break
    return names


def own(seed: int) -> Iterator[Row]:
    """Give what was found in the messy folder, and what the head says of its test pictures."""
    names = lesson(seed)
    labels, test, wrong = (names[name] for name in ("labels", "test", "wrong"))
    for many in (len(names["truth"]), names["look_at"]):
        found = wrong[names["worst"][:many]].sum().item() / len(names["truth"])
        yield f"the first {many}", "wrong labels found", found
    yield "before", "agreement", share(names["before"].argmax(dim=1) == labels)
    prior = names["prior"].log()
    for run, logits in (
        ("as it is", names["logits"]),
        ("without the prior", names["logits"] - prior),
    ):
        right = logits.argmax(dim=1) == labels
        yield run, "agreement", share(right)
        yield from (
            (run, f"recall of {n}", share(right[labels == k]))
            for k, n in enumerate(names["class_names"])
        )
    for run, t in (("as it is", 1), ("with its temperature", names["temperature"])):
        confidence, answers = (names["sure_test"] / t).softmax(dim=1).max(dim=1)
        yield run, "temperature", t
        yield run, "mean confidence", confidence.mean().item()
        yield run, "test accuracy", share(answers == labels[test])
    for run, away in names["shares"].items():
        yield run, "turned away", share(away)
    yield "answers given", "turned away", share(names["right"][names["answered"]])
    yield "all answers", "turned away", share(names["right"])


def share(right: Tensor) -> float:
    """Return the share that is true."""
    return right.float().mean().item()


GROUPS = [Group("own pictures", "own", own)]
