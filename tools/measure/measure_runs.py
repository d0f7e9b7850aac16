"""Measure what the chapters show with one seed, with several, on both editions.

    python -m tools.measure.measure_runs --edition rendered --seeds 5
    python -m tools.measure.measure_runs --edition photos --seeds 5      # after `make data`

adds to `book/runs.csv` what is not there yet, a row a number; `write_tables` makes the tables and
boxes of the book from it. A run is named as the boxes name it. The numbers are those of one thread:
start it with OMP_NUM_THREADS=1, one edition after the other, or each with an --out of its own.

With --any-cifar10 another copy of CIFAR-10 will do, such as one that went through JPEG.
"""

import argparse
import os
from pathlib import Path

from helpers import assets
from tools.bench.protocol import trust_cifar10
from tools.measure import groups, groups_backbones, groups_own
from tools.measure.write_tables import BOOK, read_csv, write_csv

COLUMNS = ["pictures", "edition", "group", "run", "measure", "seed", "value"]
GROUPS = [*groups.GROUPS, *groups_backbones.GROUPS, *groups_own.GROUPS]


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
        trust_cifar10()
    rows = read_csv(args.out) if args.out.exists() else [COLUMNS]
    there = {(*row[:3], row[5]) for row in rows}
    for group in GROUPS:
        wanted = not args.only or group.name in args.only
        for seed in range(min(args.seeds, group.seeds) if wanted else 0):
            key = [group.pictures, args.edition, group.name]
            if (*key, str(seed)) not in there:
                for run, measure, value in group.measure(seed):
                    rows.append([*key, run, measure, str(seed), f"{value:.5g}"])
                write_csv(args.out, rows)
                print(*key, seed, flush=True)


if __name__ == "__main__":
    main()
