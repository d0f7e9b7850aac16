"""Extract the features of many pictures in shards, with any number of processes.

    python -m tools.extract.extract_features PICTURES OUT
    torchrun --standalone --nproc-per-node 2 -m tools.extract.extract_features PICTURES OUT

PICTURES is a folder as `helpers.data.image_folders` takes it. Its pictures, in their order, are cut
into shards, and process r of n computes the shards r, r + n, r + 2n, …; each becomes a file in OUT.
`shards.read_features(OUT)` reads them.

The processes never talk to each other: what lies in OUT is done. A shard is written as a whole or
not at all. So whatever was killed, the same command goes on, also with another number of processes,
and computes nothing twice. Where pictures were added or replaced, it computes their shards anew.

Every process keeps the list of all pictures, about 1 kB each: give 10⁷ or more as several folders.
"""

import argparse
import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import record
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from helpers.checkpoint import is_whole, writing_whole
from helpers.data import normalize, statistics
from helpers.features import add, channels_last, without_head
from helpers.models import build, head_name
from helpers.pictures.decode import name_some, open_picture
from helpers.pictures.folders import list_splits, warn_of_unused
from helpers.runtime import progress
from tools.extract.shards import make_manifest, refuse_others, what_is_missing, write_manifest


class Files(Dataset):
    """Pictures in files, each decoded when it is asked for.

    An item is the network's input `(3, size, size)`, float32, the same as that of `image_folders`
    without augmentation; and why the file is no picture, an empty text where it is one.
    """

    def __init__(self, paths: Sequence[Path], size: int, **statistics):
        """Open no file yet."""
        self.paths, self.size = paths, size
        crop = v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)
        self.prepare = v2.Compose([*crop, normalize(**statistics)])

    def __len__(self) -> int:
        """Count the files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        """Return the input, or zeros and the reason."""
        try:
            picture = open_picture(self.paths[index], short_side=2 * self.size)
        except ValueError as error:
            return torch.zeros(3, self.size, self.size), str(error)
        return self.prepare(picture), ""


@torch.no_grad()
def run_batches(
    model: nn.Module, loader: DataLoader, device: torch.device
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Give the features `(B, num_features)` of each batch, and what is wrong with its files."""
    with without_head(model), channels_last(model, device):
        for inputs, reasons in loader:
            features = model(inputs.to(device, non_blocking=True)).float().cpu().numpy()
            yield features, [reason for reason in reasons if reason]


def extract_shards(
    model: nn.Module,
    pictures: Files,
    shards: dict[Path, range],
    device: torch.device,
    *,
    batch_size: int,
    num_workers: int,
) -> None:
    """Write the features of the pictures in each range as a file.

    Where a file is no picture, its shard is left out; when all others are written, raises one
    ValueError that names all such files.
    """
    cuts = [
        [list(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
        for rows in shards.values()
    ]  # no batch reaches into the next shard: the numbers are the same with any number of processes
    options = {"num_workers": num_workers, "pin_memory": device.type == "cuda"}
    loader = DataLoader(pictures, batch_sampler=[*chain(*cuts)], **options)
    batches, unusable = run_batches(model, loader, device), []
    for path, cut in progress(zip(shards, cuts, strict=True), "shards", len(cuts)):
        features, reasons = zip(*islice(batches, len(cut)), strict=True)
        if found := [*chain(*reasons)]:
            print(*found, sep="\n", file=sys.stderr, flush=True)
            unusable += found
            continue
        with writing_whole(path) as file:
            np.save(file, np.concatenate(features))
    if unusable:
        raise ValueError(
            f"files that are no pictures: {len(unusable)}. Replace them; if you remove them, the "
            f"shards after them are computed anew.\n" + name_some(unusable, separator="\n")
        )


def settings_of(model: nn.Module, args: argparse.Namespace, device: torch.device) -> dict:
    """Return all that features depend on, besides the pictures."""
    digest, head = hashlib.sha256(), head_name(model) + "."
    for name, value in model.state_dict().items():
        if not name.startswith(head):
            add(digest, value, name)
    settings = {"backbone": args.backbone, "weights": digest.hexdigest(), "size": args.size}
    return settings | statistics(model) | {"device": device.type, "torch": torch.__version__}


def own_device() -> torch.device:
    """Return the graphics card of this process, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Extract the features of many pictures.")
    parser.add_argument("pictures", type=Path, help="a folder with a folder for each class")
    parser.add_argument("out", type=Path, help="the folder to write into")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a name, %(default)s")
    parser.add_argument("--weights", default="pretrained", help="a file, or %(default)s")
    parser.add_argument("--size", type=int, default=160, help="pixels a side, %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, help="%(default)s")
    parser.add_argument("--shard-size", type=int, default=1024, help="pictures, %(default)s")
    parser.add_argument("--workers", type=int, default=0, help="that decode, %(default)s")
    args = parser.parse_args(arguments)
    args.pictures, args.out = args.pictures.expanduser(), args.out.expanduser()
    if args.size < 32 or min(args.batch_size, args.shard_size) < 1 or args.workers < 0:
        parser.error("--size is 32 at least, --batch-size and --shard-size 1, --workers 0")
    if args.out.resolve().is_relative_to(args.pictures.resolve()):
        parser.error(f"{args.out} lies in {args.pictures}: give a folder outside")
    if args.out.exists() and not args.out.is_dir():
        parser.error(f"{args.out} is a file: give a folder")
    return args


@record  # so that torchrun shows the error
def main(arguments: Sequence[str] | None = None) -> None:
    """Extract the shards of this process; torchrun tells it which of how many it is."""
    args = read_arguments(arguments)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = own_device()
    model = build(args.backbone, 2, weights=args.weights, freeze=True).to(device)
    listing = list_splits(args.pictures)
    manifest = make_manifest(settings_of(model, args, device), listing, args.shard_size)
    args.out.mkdir(parents=True, exist_ok=True)
    refuse_others(args.out, manifest)
    if rank == 0:
        warn_of_unused(listing)
        write_manifest(args.out, manifest)

    rows = range(len(listing.paths))
    parts = [rows[i : i + args.shard_size] for i in rows[:: args.shard_size]]
    mine = list(zip(manifest["shards"], parts, strict=True))[rank::world]
    todo = {args.out / name: part for name, part in mine if not is_whole(args.out / name)}
    who = f"process {rank} of {world}"
    print(f"{who}: {len(mine)} shards, of which {len(mine) - len(todo)} are there", flush=True)
    start, count = time.perf_counter(), sum(map(len, todo.values()))
    pictures = Files(listing.paths, args.size, **statistics(model))
    options = {"batch_size": args.batch_size, "num_workers": args.workers}
    try:
        extract_shards(model, pictures, todo, device, **options)
    except BaseException as error:
        left = what_is_missing(args.out, manifest)
        print(f"{who} ended by {type(error).__name__}. {left}", file=sys.stderr, flush=True)
        raise
    seconds = time.perf_counter() - start
    print(f"{who}: {count} pictures in {seconds:.1f} s, {count / seconds:.1f} a second", flush=True)
    refuse_others(args.out, manifest)  # nobody has begun anything else here meanwhile
    if not what_is_missing(args.out, manifest):  # so this is the last one
        print(f"all {len(manifest['shards'])} shards are in {args.out}", flush=True)


if __name__ == "__main__":
    # With SIGTERM torchrun and Slurm end a process; as an exception it removes what is unfinished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("this process was asked to end (SIGTERM)"))
    try:
        main()
    except (OSError, ValueError, RuntimeError) as error:
        if "RANK" in os.environ:  # torchrun wants to see it
            raise
        sys.exit(f"extract_features: {error}")
