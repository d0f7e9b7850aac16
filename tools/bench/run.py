"""Run the benchmark: every contestant on the same pictures, threads and seeds.

    make bench

or, for a part, `python -m tools.bench.run --work frozen --contestant "this book" --seeds 3`. The
contestants of a work share a backbone, but for one in `cifar10`, whose name says it. Each run is a
process of its own; seed by seed all contestants take turns, so that a drifting machine hits all
alike. Each run is added to `tools/bench/raw.jsonl` when it ends, and one that is there isn't run
again: an interrupted benchmark goes on, and on another machine that file must be removed first.
From it alone come `book/bench_*.csv` and `book/figures/bench.svg`; `--report` only redraws them. No
picture goes into any of them.
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
from tools.bench.protocol import LITE0
from tools.bench.report import RAW, ROOT, SOURCE, append, read, report

SMOKE = ROOT / "_build" / "bench" / "smoke"
PEERS = ROOT / "_build" / "peers" / "bin" / "python"
WORKS = {  # the task and the backbone of each
    "frozen": ("frozen", "resnet18"),
    "frozen-lite0": ("frozen", LITE0),
    "fine-tuned": ("fine-tuned", "resnet18"),
    "fine-tuned-lite0": ("fine-tuned", LITE0),
    "cifar10": ("cifar10", "resnet18"),
}
WITH_RESNET18 = ("frozen", "fine-tuned")
WITH_LITE0 = ("frozen-lite0", "fine-tuned-lite0")


class Contestant(NamedTuple):
    """A script, and how it takes part."""

    name: str  #: as the table and the figure call it
    script: str  #: a module beside this one
    works: tuple[str, ...] = tuple(WORKS)  #: those that it takes part in
    options: tuple[str, ...] = ()  #: more arguments
    slow: bool = False  #: has fewer seeds
    peer: bool = False  #: runs in the environment of the peers
    backbone: str | None = None  #: another than the others' of the work


CONTESTANTS = [
    Contestant("this book", "book", (*WITH_RESNET18, "cifar10")),
    Contestant("this book, averaged", "book_averaged", ("fine-tuned",)),
    Contestant("this book", "book_lite0", WITH_LITE0[:1], ("--size", "192")),
    Contestant("this book", "book_lite0", WITH_LITE0[1:]),
    Contestant(
        "this book, normalization",
        "book_lite0",
        ("fine-tuned-lite0",),
        ("--strategy", "normalization"),
    ),
    Contestant("this book, Lite0", "book_lite0", ("cifar10",), ("--size", "96"), backbone=LITE0),
    Contestant("fastai, 96 px", "fastai_learner", WITH_RESNET18, ("--size", "96"), peer=True),
    Contestant("fastai, 224 px", "fastai_learner", WITH_RESNET18, peer=True),
    Contestant("fastai, 224 px", "fastai_learner", WITH_LITE0, slow=True, peer=True),
    Contestant("plain PyTorch", "plain_pytorch", slow=True),
    Contestant(SOURCE, "source_loops", slow=True),
]


def python_lines(python: Path, script: str, arguments: list[str], threads: int) -> list[dict]:
    """Run a script on that many threads; return the JSON lines that it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    command = [str(python), "-m", f"tools.bench.{script}", *arguments, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"{script} {' '.join(arguments)}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def is_there(records: list[dict], **wanted) -> bool:
    """Tell whether a record has all these values."""
    return any(wanted.items() <= {k: record.get(k) for k in wanted}.items() for record in records)


def run_contestant(contestant: Contestant, work: str, seed: int, args: argparse.Namespace) -> None:
    """Run a contestant once and record it, unless that is there."""
    task, backbone = WORKS[work]
    key = {"work": work, "contestant": contestant.name, "seed": seed, "threads": args.threads}
    if is_there(read(args.raw), **key):
        return
    key |= {"backbone": contestant.backbone or backbone, "day": date.today().isoformat()}
    key |= {} if args.timed else {"timed": False}
    data = args.cifar10 if task == "cifar10" else args.data
    arguments = ["--data", str(data), "--task", task, "--backbone", key["backbone"]]
    arguments += ["--seed", str(seed), *contestant.options]
    if args.smoke:
        arguments += ["--epochs", "1", "--max-batches", "2"]
    python = args.peers if contestant.peer else Path(sys.executable)
    *lines, end = python_lines(python, contestant.script, arguments, args.threads)
    append(args.raw, key | {"lines": lines, "end": end})
    last = lines[-1]
    print(
        f"{work:16}  {contestant.name:24}  seed {seed}  {last['seconds']:7.1f} s  "
        f"accuracy {last['val_accuracy']:.3f}  {end['peak_mb']:.0f} MB",
        flush=True,
    )


def run_bare(args: argparse.Namespace) -> None:
    """Measure the machine's own rate at each backbone, size and batch of today's first seeds."""
    records, today = read(args.raw), date.today().isoformat()
    settings = {
        (record["backbone"], record["end"]["size"], record["end"]["batch_size"])
        for record in records
        if record["work"] != "bare" and record["seed"] == 0 and record["day"] == today
    }
    for backbone, size, batch_size in sorted(settings):
        key = {"work": "bare", "backbone": backbone, "size": size, "batch_size": batch_size}
        key |= {"seed": 0, "threads": args.threads, "day": today}
        if is_there(records, **key):
            continue
        arguments = ["--backbone", backbone, "--size", str(size), "--batch-size", str(batch_size)]
        steps = 2 if args.smoke else 30 if batch_size * size**2 < 1e6 else 10  # seconds each
        arguments += ["--steps", str(steps)]
        (rates,) = python_lines(Path(sys.executable), "bare", arguments, args.threads)
        append(args.raw, key | rates)
        print(f"bare  {backbone}, {size} px, batch {batch_size:3}  {rates['train']:.1f} a second")


def available(args: argparse.Namespace) -> list[tuple[Contestant, str]]:
    """Pair contestants and works; leave out, and say so, what can't run here."""
    works = [args.work] if args.work else list(WORKS)
    contestants = [c for c in CONTESTANTS if args.contestant in (None, c.name)]
    if not args.peers.exists():
        print("left out: fastai, which `make bench` installs", file=sys.stderr)
        contestants = [c for c in contestants if not c.peer]
    if "cifar10" in works and not (args.cifar10 / "cifar-10-batches-py").is_dir():
        print("left out: CIFAR-10, which `make data` brings", file=sys.stderr)
        works.remove("cifar10")
    pairs = [(c, work) for work in works for c in contestants if work in c.works]
    if not pairs:
        raise SystemExit(f"nothing to run: {args.contestant} takes no part in {args.work}")
    return pairs


def run_all(args: argparse.Namespace) -> int:
    """Run what isn't there, seed by seed; return how many runs failed."""
    pairs, failed = available(args), 0
    for seed in range(max(args.seeds, args.slow_seeds)):
        for contestant, work in pairs:
            if seed >= (args.slow_seeds if contestant.slow else args.seeds):
                continue
            try:
                run_contestant(contestant, work, seed, args)
            except RuntimeError as error:
                print(f"failed: {error}", file=sys.stderr, flush=True)
                failed += 1
        if seed == 0 and args.timed:
            run_bare(args)
    return failed


def parse() -> argparse.Namespace:
    """Read the arguments; a smoke test leaves the book alone."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="for all but the slow")
    parser.add_argument("--slow-seeds", type=int, default=2, help="for the slow: many minutes each")
    parser.add_argument("--work", choices=tuple(WORKS), help="only this")
    names = dict.fromkeys(contestant.name for contestant in CONTESTANTS)
    parser.add_argument("--contestant", choices=tuple(names), help="only this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--untimed", dest="timed", action="store_false",
                        help="beside other work: for the accuracies only")  # fmt: skip
    parser.add_argument("--smoke", action="store_true", help="an epoch of two batches each, anew")
    parser.add_argument("--report", action="store_true", help="only redraw, from what was recorded")
    parser.add_argument("--data", type=Path, help="ants and bees (default: those in use)")
    parser.add_argument("--cifar10", type=Path, default=assets.photographs_folder())
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python that has fastai")
    args = parser.parse_args()
    if args.smoke:
        args.seeds = args.slow_seeds = 1
    args.data = args.data or assets.ants_bees().path
    args.raw, args.out = (SMOKE / "raw.jsonl", SMOKE) if args.smoke else (RAW, ROOT / "book")
    return args


def main() -> int:
    """Run what isn't recorded yet; write the table and the figure."""
    args = parse()
    if args.smoke:
        args.raw.unlink(missing_ok=True)
    failed = 0 if args.report else run_all(args)
    report(args.raw, args.out)
    print(f"written: bench_*.csv in {args.out}, from the runs in {args.raw}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
