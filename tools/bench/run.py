"""Run the benchmark: every contestant on the same pictures, backbone, threads and seeds.

    make bench

or, for a part, `python tools/bench/run.py --work frozen --seeds 3`. Each run is a process of its
own; seed by seed all contestants take turns, so that a drifting machine hits all alike. Each run is
added to `_build/bench/raw.jsonl` when it ends, and one that is there isn't run again: an
interrupted benchmark goes on. From that file alone come `book/bench_*.csv` and
`book/figures/bench.svg`; `--report` only redraws them. No picture goes into any of them.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from protocol import TASKS
from report import ROOT, SOURCE, append, read, report

from helpers import assets

HERE = Path(__file__).parent
RAW = ROOT / "_build" / "bench"
PEERS = ROOT / "_build" / "peers" / "bin" / "python"


class Contestant(NamedTuple):
    """A script, and how it takes part."""

    name: str  #: as the table and the figure call it
    script: str  #: beside this file
    works: tuple[str, ...] = TASKS  #: the tasks that it knows
    options: tuple[str, ...] = ()  #: more arguments
    slow: bool = False  #: takes so long that it runs with fewer seeds
    peer: bool = False  #: runs in the environment of the peers


CONTESTANTS = [
    Contestant("this book", "book.py"),
    Contestant("fastai, 96 px", "fastai_learner.py", TASKS[:2], ("--size", "96"), peer=True),
    Contestant("fastai, 224 px", "fastai_learner.py", TASKS[:2], slow=True, peer=True),
    Contestant("plain PyTorch", "plain_pytorch.py", slow=True),
    Contestant(SOURCE, "source_loops.py", slow=True),
]


def python_lines(python: Path, script: str, arguments: list[str], threads: int) -> list[dict]:
    """Run a script on that many threads; return the JSON lines that it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    command = [str(python), str(HERE / script), *arguments, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{script} {' '.join(arguments)}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def is_there(records: list[dict], **wanted) -> bool:
    """Tell whether a record has all these values."""
    return any(wanted.items() <= {k: record.get(k) for k in wanted}.items() for record in records)


def run_contestant(contestant: Contestant, work: str, seed: int, args: argparse.Namespace) -> None:
    """Run a contestant once and record it, unless that is there."""
    key = {"work": work, "contestant": contestant.name, "seed": seed, "threads": args.threads}
    if is_there(read(args.raw), **key):
        return
    data = args.cifar10 if work == "cifar10" else args.data
    arguments = ["--data", str(data), "--backbone", str(args.backbone), "--task", work]
    arguments += ["--seed", str(seed), *contestant.options]
    if args.smoke:
        arguments += ["--epochs", "1", "--max-batches", "2"]
    python = args.peers if contestant.peer else Path(sys.executable)
    *lines, end = python_lines(python, contestant.script, arguments, args.threads)
    append(args.raw, key | {"lines": lines, "end": end})
    last = lines[-1]
    print(
        f"{work:10}  {contestant.name:15}  seed {seed}  {last['seconds']:7.1f} s  "
        f"accuracy {last['val_accuracy']:.3f}  {end['peak_mb']:.0f} MB",
        flush=True,
    )


def run_bare(seed: int, args: argparse.Namespace) -> None:
    """Measure the machine's own rate at each size and batch that this seed's runs had."""
    records = read(args.raw)
    settings = {
        (record["end"]["size"], record["end"]["batch_size"])
        for record in records
        if record["work"] != "bare" and record["seed"] == seed
    }
    for size, batch_size in sorted(settings):
        key = {"work": "bare", "size": size, "batch_size": batch_size}
        key |= {"seed": seed, "threads": args.threads}
        if is_there(records, **key):
            continue
        arguments = ["--size", str(size), "--batch-size", str(batch_size)]
        steps = 2 if args.smoke else 30 if batch_size * size**2 < 1e6 else 10  # seconds each
        arguments += ["--steps", str(steps)]
        (rates,) = python_lines(Path(sys.executable), "bare.py", arguments, args.threads)
        append(args.raw, key | rates)
        print(f"bare        {size} px, batch {batch_size:3}  {rates['train']:.1f} a second")


def available(args: argparse.Namespace) -> list[tuple[Contestant, str]]:
    """Pair contestants and works; leave out, and say so, what can't run here."""
    works = [args.work] if args.work else list(TASKS)
    contestants = CONTESTANTS
    if not args.peers.exists():
        print("left out: fastai, which `make bench` installs", file=sys.stderr)
        contestants = [c for c in contestants if not c.peer]
    if "cifar10" in works and not (args.cifar10 / "cifar-10-batches-py").is_dir():
        print("left out: CIFAR-10, which `make data` brings", file=sys.stderr)
        works.remove("cifar10")
    return [(c, work) for work in works for c in contestants if work in c.works]


def run_all(args: argparse.Namespace) -> int:
    """Run what isn't there, seed by seed; return how many runs failed."""
    pairs, failed = available(args), 0
    for seed in range(max(args.seeds, args.source_seeds)):
        for contestant, work in pairs:
            if seed >= (args.source_seeds if contestant.slow else args.seeds):
                continue
            try:
                run_contestant(contestant, work, seed, args)
            except RuntimeError as error:
                print(f"failed: {error}", file=sys.stderr, flush=True)
                failed += 1
        run_bare(seed, args)
    return failed


def parse() -> argparse.Namespace:
    """Read the arguments; a smoke test leaves the book alone."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="for the fast contestants")
    parser.add_argument("--source-seeds", type=int, default=1, help="for the slow: half hours each")
    parser.add_argument("--work", choices=TASKS, help="only this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="an epoch of two batches each")
    parser.add_argument("--report", action="store_true", help="only redraw, from what was recorded")
    parser.add_argument("--data", type=Path, help="ants and bees (default: those in use)")
    parser.add_argument("--cifar10", type=Path, default=assets.photographs_folder())
    parser.add_argument("--backbone", type=Path, default=assets.RENDERED["backbone"].path)
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python that has fastai")
    parser.add_argument("--raw", type=Path, help="the file of the records")
    parser.add_argument("--out", type=Path, help="where to write (default: book)")
    args = parser.parse_args()
    if args.smoke:
        args.seeds = args.source_seeds = 1
    args.data = args.data or assets.ants_bees().path
    args.raw = args.raw or RAW / ("smoke.jsonl" if args.smoke else "raw.jsonl")
    args.out = args.out or (RAW / "smoke" if args.smoke else ROOT / "book")
    return args


def main() -> int:
    """Run what isn't recorded yet; write the table and the figure."""
    args = parse()
    failed = 0 if args.report else run_all(args)
    report(args.raw, args.out)
    print(f"written: {args.out / 'bench_*.csv'}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
