"""Measure how time, memory and disk space of features grow with the number of pictures.

    python -m tools.extract.measure_growth

Pictures are 500 JPEG files of about 100 kB under as many names as are asked for, so that they fit
on the disk; they are read from memory, since the system keeps them there. A run is all of
`extract_features.py`, its start included, a thread a process. Peak memory is that of the largest
process. For more pictures than can be measured here it calculates, at the rate of the largest run.
Writes `book/growth_features.csv`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tools.bench.report import ROOT, write

COLUMNS = ["pictures", "on", "time", "pictures a second", "peak MB", "disk", "how"]
RUNS = ((10_000, 1), (10_000, 2), (100_000, 2))  # pictures and processes
MORE = (10**6, 10**7, 10**8, 10**9)  # to calculate
DISTINCT, WIDTH, HEIGHT, SIZE = 500, 500, 375, 160
FEATURE_BYTES = 1280 * 4  # of EfficientNet-Lite0, float32
TIMES = {"days": 86400, "h": 3600, "min": 60, "s": 1}
SIZES = {"TB": 1e6, "GB": 1e3, "MB": 1}


def in_words(value: float, units: dict) -> str:
    """Write a value in the largest unit of which it has at least one and a half, or in the last."""
    unit = next((unit for unit, size in units.items() if value >= 1.5 * size), [*units][-1])
    return f"{value / units[unit]:.1f}\N{NO-BREAK SPACE}{unit}"


def row(count: int, on: str, seconds: float, disk_mb: float, peak_mb: float | None) -> list[str]:
    """Write a line of the table; without a peak it was calculated."""
    peak, how = ("", "calculated") if peak_mb is None else (f"{peak_mb:,.0f}", "measured")
    found = [in_words(seconds, TIMES), f"{count / seconds:,.0f}", peak, in_words(disk_mb, SIZES)]
    return [f"{count:,}", on, *found, how]


def make_pictures(folder: Path, count: int) -> None:
    """Write pictures of two classes: some files, and links to them."""
    generator, files = np.random.default_rng(0), []
    for i in range(count):
        path = folder / ("even", "odd")[i % 2] / f"{i:09}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < DISTINCT:
            small = generator.integers(256, size=(HEIGHT // 5, WIDTH // 5, 3), dtype=np.uint8)
            large = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            noise = generator.normal(0, 8, (HEIGHT, WIDTH, 3))
            pixels = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=90)
            files.append(path)
        else:
            os.link(files[i % DISTINCT], path)


def measure(pictures: Path, processes: int, out: Path) -> tuple[float, float, float]:
    """Extract the features of a folder by a command; return seconds, MB of disk and of memory."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", "-m", "tools.extract.extract_features"]
    command += [str(pictures), str(out), f"--size={SIZE}", "--shard-size=1024"]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)  # of the largest of its processes, too
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} failed")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return seconds, sum(path.stat().st_size for path in out.iterdir()) / 1e6, peak


def main() -> None:
    """Measure, calculate, and write the table."""
    rows, rate = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for count, processes in RUNS:
            pictures = Path(folder, str(count))
            if not pictures.exists():
                make_pictures(pictures, count)
            found = measure(pictures, processes, Path(folder, f"{count}-{processes}"))
            on = f"{processes} processor" + "s" * (processes > 1)
            rows.append(row(count, on, *found))
            rate = count / found[0]
    for count in MORE:
        rows.append(row(count, on, count / rate, count * FEATURE_BYTES / 1e6, None))
    write(ROOT / "book" / "growth_features.csv", COLUMNS, rows)


if __name__ == "__main__":
    main()
