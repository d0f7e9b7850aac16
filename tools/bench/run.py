"""Run the benchmark: every method on the same pictures, threads and seeds.

    make bench

or, for a part, `python -m tools.bench.run --work frozen --method "this book" --seeds 3`. The
methods of a work share a backbone, except one in `cifar10`, whose name says so. Each run is a
process of its own; seed by seed all methods take turns, so that a drifting machine hits all alike.
Each run is added to `tools/bench/raw.jsonl` when it ends, and one that is there isn't run again: an
interrupted benchmark goes on, and on another machine that file must be removed first. From it alone
come `book/bench_*.csv` and `book/figures/bench.svg`; `--report` only redraws them. No picture goes
into any of them.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

from helpers import assets
from tools.bench.protocol import LITE0, LITE2
from tools.bench.report import RAW, ROOT, SOURCE, STYLES, append, read, report

SMOKE = ROOT / "_build" / "bench" / "smoke"
PEERS = ROOT / "_build" / "peers" / "bin" / "python"
WORKS = {  # the task and the backbone of each
    "frozen": ("frozen", "resnet18"),
    "frozen-lite0": ("frozen", LITE0),
    "fine-tuned": ("fine-tuned", "resnet18"),
    "fine-tuned-lite0": ("fine-tuned", LITE0),
    "frozen-lite2": ("frozen", LITE2),
    "fine-tuned-lite2": ("fine-tuned", LITE2),
    "cifar10": ("cifar10", "resnet18"),
}
WITH_RESNET18 = ("frozen", "fine-tuned")
WITH_LITE0 = ("frozen-lite0", "fine-tuned-lite0")
TO_ALL = (*WITH_RESNET18, *WITH_LITE0, "cifar10")


class Method(NamedTuple):
    """A program, and how it takes part."""

    name: str  #: as the table and the figure call it
    module: str  #: beside this one
    works: tuple[str, ...]  #: those that it takes part in
    options: tuple[str, ...] = ()  #: more arguments
    slow: bool = False  #: has fewer seeds
    backbone: str | None = None  #: another than the others' of the work


NORMALIZATION = ("--strategy", "normalization", "--size")
METHODS = [
    Method("this book", "book", WITH_RESNET18),
    Method("this book", "book", ("cifar10",), ("--size", "32")),
    Method(
        "this book, averaged", "book", ("fine-tuned",), ("--strategy", "averaged", "--size", "224")
    ),
    Method("this book", "book", ("frozen-lite0", "frozen-lite2"), ("--size", "192")),
    Method("this book", "book", ("fine-tuned-lite0",), ("--size", "160")),
    Method("this book, normalization", "book", ("fine-tuned-lite0",), (*NORMALIZATION, "160")),
    Method("this book, normalization", "book", ("fine-tuned-lite2",), (*NORMALIZATION, "192")),
    Method("this book, Lite0", "book", ("frozen-lite2",), ("--size", "192"), backbone=LITE0),
    Method("this book, Lite0", "book", ("cifar10",), ("--size", "96"), backbone=LITE0),
    Method("fastai, 224 px", "fastai_learner", ("fine-tuned-lite2",)),
    Method("fastai, 96 px", "fastai_learner", WITH_RESNET18, ("--size", "96")),
    Method("fastai, 224 px", "fastai_learner", WITH_RESNET18),
    Method("fastai, 224 px", "fastai_learner", WITH_LITE0, slow=True),
    Method("plain PyTorch", "plain_pytorch", TO_ALL, slow=True),
    Method(SOURCE, "source_loops", TO_ALL, slow=True),
]


def json_lines(python: Path, module: str, arguments: list[str], threads: int) -> list[dict]:
    """Run a module on that many threads; return the JSON lines that it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    command = [str(python), "-m", f"tools.bench.{module}", *arguments, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(arguments)}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def run_method(method: Method, work: str, seed: int, args: argparse.Namespace) -> None:
    """Run a method once and record it, unless it is recorded."""
    task, backbone = WORKS[work]
    key = {"work": work, "method": method.name, "seed": seed, "threads": args.threads}
    if any(key.items() <= record.items() for record in read(args.raw)):
        return
    key |= {"backbone": method.backbone or backbone, "day": date.today().isoformat()}
    key |= {} if args.timed else {"timed": False}
    folder = args.cifar10 if task == "cifar10" else args.data
    arguments = ["--data", str(folder), "--task", task, "--backbone", key["backbone"]]
    arguments += ["--seed", str(seed), *method.options, *(["--epochs", "1"] if args.smoke else [])]
    python = PEERS if method.module == "fastai_learner" else Path(sys.executable)
    *lines, end = json_lines(python, method.module, arguments, args.threads)
    append(args.raw, key | {"lines": lines, "end": end})
    seconds, accuracy = lines[-1]["seconds"], lines[-1]["val_accuracy"]
    about = f"{seconds:7.1f} s  accuracy {accuracy:.3f}  {end['peak_mb']:.0f} MB"
    print(f"{work:16}  {method.name:24}  seed {seed}  {about}", flush=True)


def run_all(args: argparse.Namespace) -> int:
    """Run what isn't recorded, seed by seed; return how many runs failed."""
    works, failed = [args.work] if args.work else list(WORKS), 0
    methods = [method for method in METHODS if args.method in (None, method.name)]
    pairs = [(method, work) for work in works for method in methods if work in method.works]
    for seed in range(max(args.seeds, args.slow_seeds)):
        for method, work in pairs:
            if seed < (args.slow_seeds if method.slow else args.seeds):
                try:
                    run_method(method, work, seed, args)
                except RuntimeError as error:
                    print(f"failed: {error}", file=sys.stderr, flush=True)
                    failed += 1
    return failed


def main() -> int:
    """Run what isn't recorded yet; write the tables and the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="for all but the slow")
    parser.add_argument("--slow-seeds", type=int, default=2, help="for the slow: many minutes each")
    parser.add_argument("--work", choices=tuple(WORKS), help="only this")
    parser.add_argument("--method", choices=STYLES, help="only this")
    parser.add_argument("--threads", type=int, default=2)
    help = "beside other work: for the accuracies only"
    parser.add_argument("--untimed", dest="timed", action="store_false", help=help)
    parser.add_argument("--smoke", action="store_true", help="an epoch each, anew")
    parser.add_argument("--report", action="store_true", help="only redraw, from what was recorded")
    parser.add_argument("--data", type=Path, help="ants and bees (default: those in use)")
    parser.add_argument("--cifar10", type=Path, default=assets.photographs_folder())
    args = parser.parse_args()
    args.data = args.data or assets.ants_bees().path
    args.raw, out = RAW, ROOT / "book"
    if args.smoke:
        args.seeds = args.slow_seeds = 1
        args.raw, out = SMOKE / "raw.jsonl", SMOKE
        args.raw.unlink(missing_ok=True)
    failed = 0 if args.report else run_all(args)
    report(args.raw, out)
    print(f"written: bench_*.csv in {out}, from the runs in {args.raw}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
