"""Measure how time, memory and disk space of features grow with the number of pictures.

    python -m tools.extract.measure_growth

Pictures are 500 JPEG files of about 100 kB under as many names as are asked for, so that they fit
on the disk; they are read from memory, since the system keeps them there. A run is all of
`extract_features.py`, its start included, in one process and in two, a thread each; of the largest
number in two only, since it takes long. Peak memory is that of the largest process.

For more pictures than can be measured here it calculates: a process with a graphics card does no
more than the card (`--card-rate`), and no more than its processors can decode (`--cores`, and the
rate of one, measured here). That leaves out the start, and a disk or network that is slower. Writes
`book/growth_features.csv`.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
PROGRAM = "tools.extract.extract_features"
COLUMNS = ["pictures", "on", "time", "pictures a second", "peak MB", "disk", "how"]
DISTINCT, WIDTH, HEIGHT, SIZE = 500, 500, 375, 160
FEATURE_BYTES = 1280 * 4  # of EfficientNet-Lite0, float32
# tf_efficientnet_lite0 on a GeForce RTX 4090, at 224 pixels, in 16 bits, without any decoding, by
# https://github.com/huggingface/pytorch-image-models, results/, in the file
# benchmark-infer-amp-nhwc-pt240-cu124-rtx4090.csv
CARD_RATE = 9765


class Row(NamedTuple):
    """A line of the table."""

    pictures: int
    processes: int
    kind: str  #: what each process computes on: "processor" or "graphics card"
    seconds: float
    peak_mb: float | None  #: None where it was not measured, but calculated
    disk_mb: float

    def texts(self) -> list[str]:
        """Write it as in the table."""
        return [
            f"{self.pictures:,}",
            f"{self.processes} {self.kind}" + "s" * (self.processes > 1),
            in_words(self.seconds, TIMES),
            f"{self.pictures / self.seconds:,.0f}",
            "" if self.peak_mb is None else f"{self.peak_mb:,.0f}",
            in_words(self.disk_mb, SIZES),
            "calculated" if self.peak_mb is None else "measured",
        ]


TIMES = {"days": 86400, "h": 3600, "min": 60, "s": 1}
SIZES = {"TB": 1e6, "GB": 1e3, "MB": 1}


def in_words(value: float, units: Mapping[str, float]) -> str:
    """Write a value in the largest unit of which it has at least one and a half, or in the last."""
    fitting = (unit for unit, size in units.items() if value >= 1.5 * size)
    unit = next(fitting, [*units][-1])
    return f"{value / units[unit]:.1f}\N{NO-BREAK SPACE}{unit}"


def make_pictures(folder: Path, count: int) -> None:
    """Write pictures of two classes: some files, and links to them."""
    generator, files = np.random.default_rng(0), []
    for name in ("even", "odd"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        path = folder / ("even", "odd")[i % 2] / f"{i:09}.jpg"
        if i < DISTINCT:
            small = generator.integers(256, size=(HEIGHT // 5, WIDTH // 5, 3), dtype=np.uint8)
            large = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            noise = generator.normal(0, 8, (HEIGHT, WIDTH, 3))
            pixels = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=90)
            files.append(path)
        else:
            os.link(files[i % DISTINCT], path)


def measure(pictures: Path, count: int, processes: int, out: Path, shard_size: int) -> Row:
    """Extract the features of a folder by a command, and take its time, memory and disk space."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", PROGRAM, str(pictures), str(out), f"--size={SIZE}"]
    command += [f"--shard-size={shard_size}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)  # of the largest of its processes, too
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} failed")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    disk = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    return Row(count, processes, "processor", seconds, peak, disk)


def decoding_rate(pictures: Path, count: int) -> float:
    """Return how many pictures a second one processor decodes and prepares."""
    import torch

    from helpers.data import MEAN, STD
    from helpers.pictures.folders import list_splits
    from tools.extract.extract_features import Files  # imports PyTorch: after what is measured

    torch.set_num_threads(1)
    paths = list_splits(pictures).paths[: min(count, DISTINCT)]
    files = Files(paths, SIZE, mean=MEAN, std=STD)
    start = time.perf_counter()
    for i in range(len(files)):
        _, problem = files[i]
        assert not problem
    return len(files) / (time.perf_counter() - start)


def calculate(count: int, processes: int, kind: str, rate: float) -> Row:
    """Calculate from the pictures a second of each process; of the disk, only the features."""
    disk = count * FEATURE_BYTES / 1e6
    return Row(count, processes, kind, count / rate / processes, None, disk)


def write(path: Path, rows: list[Row]) -> None:
    """Write the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([COLUMNS, *(row.texts() for row in rows)])


def main() -> None:
    """Measure each number of pictures with each number of processes; calculate the others."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    several = {"type": int, "nargs": "+"}
    parser.add_argument("--counts", **several, default=[10_000, 100_000], help="to measure")
    parser.add_argument("--processes", **several, default=[1, 2], help="to measure")
    parser.add_argument("--shard-size", type=int, default=1024, help="pictures a shard")
    parser.add_argument("--more", **several, default=[10**n for n in (6, 7, 8, 9)], help="pictures")
    parser.add_argument("--cards", **several, default=[1, 64], help="to calculate")
    parser.add_argument("--card-rate", type=float, default=CARD_RATE, help="pictures a second")
    parser.add_argument("--cores", type=int, default=16, help="of each card, to decode")
    parser.add_argument("--out", type=Path, default=ROOT / "book" / "growth_features.csv")
    parser.add_argument("--folder", type=Path, help="for pictures and features, meanwhile")
    args = parser.parse_args()

    rows, rate = [], 0.0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for count in args.counts:
            pictures = Path(folder, f"{count}")
            make_pictures(pictures, count)
            largest = count == max(args.counts)
            for processes in [max(args.processes)] if largest else args.processes:
                out = Path(folder, f"{count}-by-{processes}")
                rows.append(measure(pictures, count, processes, out, args.shard_size))
                print(*rows[-1].texts(), sep="  ", flush=True)
                write(args.out, rows)  # it may be long until the next one
        rate = decoding_rate(Path(folder, f"{args.counts[-1]}"), args.counts[-1])
    print(f"one processor decodes {rate:.0f} pictures a second")

    best = max(rows, key=lambda row: row.pictures / row.seconds)
    each = best.pictures / best.seconds / best.processes
    rows += [calculate(count, best.processes, "processor", each) for count in args.more]
    each = min(args.card_rate, args.cores * rate)
    rows += [
        calculate(count, cards, "graphics card", each)
        for cards in args.cards
        for count in args.more
    ]
    write(args.out, rows)


if __name__ == "__main__":
    main()
