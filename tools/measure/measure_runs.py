"""Measure what the chapters show with one seed, with several, on both editions.

    python -m tools.measure.measure_runs --edition rendered --seeds 5
    python -m tools.measure.measure_runs --edition photos --seeds 5      # after `make data`

adds to `book/runs.csv` what is not there yet, a row a number; `tools/measure/write_tables.py` makes
the tables and boxes of the book from it. A run is named as the boxes name it. The numbers are those
of one thread: start it with OMP_NUM_THREADS=1, once for each edition, side by side on two cores.

CIFAR-10 is read from the folder of `make data`. With --any-cifar10 another copy of it will do, such
as one that went through JPEG.
"""

import argparse
import csv
import os
import time
from pathlib import Path

from torchvision.datasets import CIFAR10

from helpers import assets
from tools.measure import groups, groups_backbones

BOOK = Path(__file__).parents[2] / "book"
COLUMNS = ["pictures", "edition", "group", "run", "measure", "seed", "value"]
GROUPS = [*groups.GROUPS, *groups_backbones.GROUPS]


def read(path: Path) -> list[dict[str, str]]:
    """Read the rows that are there."""
    if not path.exists():
        return []
    with path.open(encoding="utf8") as file:
        return list(csv.DictReader(file))


def add(path: Path, rows: list[list]) -> None:
    """Add rows to a file, which gets its header first."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS] * new + rows)


def trust_any_cifar10() -> None:
    """Let torchvision read any copy of CIFAR-10 in this process, whatever its hashes."""
    CIFAR10.train_list = [[name, None] for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [[name, None] for name, _ in CIFAR10.test_list]
    CIFAR10.meta = CIFAR10.meta | {"md5": None}


def main() -> None:
    """Measure every group with every seed, unless its numbers are there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--edition", choices=("rendered", "photos"), required=True)
    parser.add_argument("--seeds", type=int, default=5, help="at most (some groups have fewer)")
    parser.add_argument("--only", nargs="+", help="these groups (default: all)")
    parser.add_argument("--any-cifar10", action="store_true", help="a copy of CIFAR-10 will do")
    parser.add_argument("--out", type=Path, default=BOOK / "runs.csv", help="the file to add to")
    args = parser.parse_args()
    os.environ["EDITION"] = args.edition
    if (weights := assets.backbone()).edition == "photos":
        raise SystemExit(f"{weights.path} is another network than the tables': move it away first")
    if args.any_cifar10:
        trust_any_cifar10()
    there = {(r["pictures"], r["edition"], r["group"], r["seed"]) for r in read(args.out)}
    for group in GROUPS:
        wanted = not args.only or group.name in args.only
        for seed in range(min(args.seeds, group.seeds) if wanted else 0):
            key = (group.pictures, args.edition, group.name, str(seed))
            if key in there:
                continue
            start = time.perf_counter()
            found = [
                [*key[:3], run, measure, seed, f"{value:.5g}"]
                for run, measure, value in group.measure(seed)
            ]
            add(args.out, found)
            print(*key, f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
