"""Extract the features of many pictures in shards, with any number of processes.

    python -m tools.extract.extract_features PICTURES OUT
    torchrun --standalone --nproc-per-node 2 -m tools.extract.extract_features PICTURES OUT

PICTURES is a folder as `helpers.data.image_folders` takes it. Its pictures, in their order, are cut
into shards, and process r of n computes the shards r, r + n, r + 2n, …; each becomes a file in OUT.

    features = read_features(OUT)        # a data set of (features, label), as `fit` takes it

`manifest.json` there names the settings, the pictures with their labels, and the shards, in order.
A shard is named after the settings and the names and sizes of its pictures, so features of
something else are never taken for these.

The processes never talk to each other: what lies in OUT is done. A shard is written as a whole or
not at all. So whatever was killed, the same command goes on, also with another number of processes,
and computes nothing twice. Where pictures were added or replaced, it computes their shards anew.

Every process keeps the list of all pictures, about 1 kB each: give 10⁷ or more as several folders.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import record
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset
from torchvision.transforms import v2

from helpers.data import normalize, statistics
from helpers.features import channels_last, without_head
from helpers.models import build
from helpers.pictures.decode import name_some, open_picture
from helpers.pictures.folders import Listing, list_parts, warn_of_unused
from helpers.runtime import atomic_write, get_device, progress


class Files(Dataset):
    """Pictures in files, each decoded when it is asked for.

    An item is the network's input `(3, size, size)`, float32, the same as that of `image_folders`
    without augmentation.
    """

    def __init__(self, paths: Sequence[Path], size: int, **statistics):
        """Open no file yet."""
        self.paths, self.size = paths, size
        crop = v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)
        self.prepare = v2.Compose([*crop, normalize(**statistics)])

    def __len__(self) -> int:
        """Count the files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """Return the input; raises a ValueError that names a file which is no picture."""
        return self.prepare(open_picture(self.paths[index], short_side=2 * self.size))


@torch.no_grad()
def extract_shards(
    model: nn.Module, pictures: Files, shards: dict[Path, range], device: torch.device, **options
) -> None:
    """Write the features of the pictures in each range as a file; `options` are of the loaders.

    No batch reaches into the next shard: the numbers are the same with any number of processes.
    Where a file is no picture, its shard is left out; when all others are written, raises one
    ValueError that names the first such file of each.
    """
    unusable = []
    with without_head(model), channels_last(model, device):
        for path, rows in progress(shards.items(), "shards", len(shards)):
            loader = DataLoader(Subset(pictures, rows), pin_memory=device.type == "cuda", **options)
            try:
                features = [model(inputs.to(device)).float().cpu() for inputs in loader]
            except ValueError as error:
                unusable.append(str(error))
                continue
            with atomic_write(path) as aside, aside.open("wb") as file:
                np.save(file, torch.cat(features).numpy())
    if unusable:
        raise ValueError(
            f"files that are no pictures, in {len(unusable)} shards: replace them; if you remove "
            "them, the shards after them are computed anew.\n" + name_some(unusable, "\n")
        )


def settings_of(model: nn.Module, args: argparse.Namespace, device: torch.device) -> dict:
    """Return all that features depend on, besides the pictures."""
    digest = hashlib.sha256()
    with without_head(model):
        for value in model.state_dict().values():
            digest.update(value.cpu().numpy().tobytes())
    settings = {"backbone": args.backbone, "weights": digest.hexdigest(), "size": args.size}
    return settings | statistics(model) | {"device": device.type, "torch": torch.__version__}


def make_manifest(settings: dict, listing: Listing, shard_size: int) -> dict:
    """Return what a folder is to hold; `settings` are all that features depend on but pictures."""
    names = [path.relative_to(listing.root).as_posix() for path in listing.paths]
    sizes = [path.stat().st_size for path in listing.paths]  # in bytes
    shards = []
    for i in range(0, len(names), shard_size):
        of = settings, names[i : i + shard_size], sizes[i : i + shard_size]
        key = hashlib.sha256(json.dumps(of).encode()).hexdigest()[:12]
        shards.append(f"shard-{len(shards):05}-{key}.npy")
    settings = settings | {"shard size": shard_size, "class names": listing.class_names}
    manifest = {"settings": settings, "shards": shards, "labels": listing.labels, "names": names}
    return json.loads(json.dumps(manifest))  # as it is read back


def read_manifest(out: str | Path) -> dict:
    """Read what a folder is to hold."""
    path = Path(out, "manifest.json")
    if not path.exists():
        raise FileNotFoundError(f"no {path}: extract features into this folder first")
    return json.loads(path.read_text("utf8"))


def refuse_others(out: Path, manifest: dict) -> None:
    """Raise ValueError where the folder is for features with other settings."""
    path = out / "manifest.json"
    if path.exists() and read_manifest(out)["settings"] != manifest["settings"]:
        raise ValueError(
            f"{out} is for features with other settings, which are in {path.name}: choose as then, "
            f"or give another folder"
        )


def read_features(out: str | Path) -> ConcatDataset:
    """Return the features `(num_features,)`, float32, and the label of each picture, in order.

    They stay on disk, mapped into memory, so there may be more of them than fit. Each shard is an
    open file, of which a system allows a thousand or so. The names of the pictures and of the
    classes are in `read_manifest(out)`.
    """
    manifest = read_manifest(out)
    paths = [Path(out, name) for name in manifest["shards"]]
    if missing := [path.name for path in paths if not path.exists()]:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} shards are missing in {out}: "
            f"{name_some(missing, count=3)}; the same command goes on with them"
        )
    shards = [torch.from_numpy(np.load(path, mmap_mode="c")) for path in paths]
    labels = torch.tensor(manifest["labels"]).split([len(features) for features in shards])
    return ConcatDataset([TensorDataset(*both) for both in zip(shards, labels, strict=True)])


@record  # so that torchrun shows the error
def main(arguments: Sequence[str] | None = None) -> None:
    """Extract the shards of this process; torchrun tells it which of how many it is."""
    parser = argparse.ArgumentParser(description="Extract the features of many pictures.")
    parser.add_argument("pictures", type=Path, help="a folder with a folder for each class")
    parser.add_argument("out", type=Path, help="the folder to write into")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a name, %(default)s")
    parser.add_argument("--weights", default="pretrained", help="a file, or %(default)s")
    parser.add_argument("--size", type=int, default=160, help="pixels a side, %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, help="%(default)s")
    parser.add_argument("--shard-size", type=int, default=10_000, help="pictures, %(default)s")
    parser.add_argument("--workers", type=int, default=0, help="that decode, %(default)s")
    args = parser.parse_args(arguments)
    if args.out.resolve().is_relative_to(args.pictures.resolve()):
        parser.error(f"{args.out} lies in {args.pictures}: give a folder outside")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = get_device()
    if device.type != "cpu":
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        torch.accelerator.set_device_index(local_rank % torch.accelerator.device_count())
    model = build(args.backbone, 2, weights=args.weights, freeze=True).to(device)
    listing = list_parts(args.pictures)
    manifest = make_manifest(settings_of(model, args, device), listing, args.shard_size)
    args.out.mkdir(parents=True, exist_ok=True)
    refuse_others(args.out, manifest)
    if rank == 0:
        warn_of_unused(listing)
        with atomic_write(args.out / "manifest.json") as aside:
            aside.write_text(json.dumps(manifest), "utf8")

    indices = range(len(listing.paths))
    rows = [indices[i : i + args.shard_size] for i in indices[:: args.shard_size]]
    mine = list(zip(manifest["shards"], rows, strict=True))[rank::world]
    todo = {args.out / name: rows for name, rows in mine if not (args.out / name).exists()}
    who = f"process {rank} of {world}"
    print(f"{who}: {len(mine)} shards, of which {len(mine) - len(todo)} are there", flush=True)
    start, count = time.perf_counter(), sum(map(len, todo.values()))
    pictures = Files(listing.paths, args.size, **statistics(model))
    options = {"batch_size": args.batch_size, "num_workers": args.workers}
    extract_shards(model, pictures, todo, device, **options)
    rate = count / (time.perf_counter() - start)
    print(f"{who}: {count} pictures, {rate:.1f} a second", flush=True)


if __name__ == "__main__":
    main()
