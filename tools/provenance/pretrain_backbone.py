"""Pretrain the book's backbone: a ResNet-18 on the 200 classes of Tiny ImageNet.

    python -m tools.provenance.pretrain_backbone tiny-imagenet-200 pretraining

reads the unpacked archive http://cs231n.stanford.edu/tiny-imagenet-200.zip and writes three files
into the folder `pretraining`: `checkpoint.pt` after every epoch, from which the same command goes
on when it was interrupted; `log.csv`; and at the end the weights in half precision,
`resnet18_tiny_imagenet.safetensors`.

The recipe: random weights; small pictures first (32, then 48, then 64 pixels), which saves half of
the time; random crops, flips and colors; label smoothing; SGD with Nesterov momentum; one warm-up
and one cosine decay of the learning rate; and the average of the last weights (EMA), which is
better than the weights themselves.
"""

import argparse
import csv
import os
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from helpers.checkpoint import load_checkpoint, save_checkpoint
from helpers.data import normalize
from helpers.metrics import predict
from helpers.pictures.dataset import Pictures
from helpers.pictures.decode import open_pictures
from helpers.pictures.folders import list_pictures
from helpers.runtime import atomic_write, get_device, seed_everything
from helpers.training import train_one_epoch

PIXELS = 64  # of a picture of Tiny ImageNet
SIZES = ((0.45, 32), (0.82, 48), (1.0, PIXELS))  # up to this share of the epochs, this many pixels
WARM_UP = 0.12  # share of the epochs
EMA_DECAY = 0.998  # of an optimizer step
COLUMNS = ("epoch", "size", "learning rate", "training loss", "top-1", "top-5")


class Labeled(NamedTuple):
    """Pictures `(3, 64, 64)`, uint8, and their labels, indices into the classes."""

    pictures: list[Tensor]
    labels: list[int]


def read_tiny_imagenet(folder: Path) -> tuple[Labeled, Labeled, list[str]]:
    """Read the training and the validation pictures, and the classes' WordNet numbers.

    Raises FileNotFoundError where a part of the archive is missing, ValueError where the
    validation pictures have classes that the training pictures have not.
    """
    training = list_pictures(folder / "train")
    train = Labeled(open_pictures(training.paths, PIXELS), training.labels)
    annotations = folder / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise FileNotFoundError(f"no {annotations}: give the folder that the archive unpacks to")
    rows = [line.split("\t")[:2] for line in annotations.read_text("utf8").splitlines()]
    unknown = sorted({name for _, name in rows} - set(training.class_names))
    if unknown:
        raise ValueError(f"{annotations} has classes without training pictures: {unknown[:3]}")
    images = open_pictures([folder / "val" / "images" / file for file, _ in rows], PIXELS)
    labels = [training.class_names.index(name) for _, name in rows]
    return train, Labeled(images, labels), training.class_names


def build_model(num_classes: int) -> nn.Module:
    """Build a ResNet-18 with random weights whose blocks begin as identities."""
    model = torchvision.models.resnet18(num_classes=num_classes)
    for module in model.modules():
        if isinstance(module, torchvision.models.resnet.BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    return model


def build_optimizer(model: nn.Module, lr: float) -> torch.optim.SGD:
    """Build SGD that decays weights, but neither biases nor BatchNorm's scales."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


def build_scheduler(optimizer: torch.optim.SGD, num_epochs: int) -> SequentialLR:
    """Build the warm-up and the cosine decay that follows; it steps once an epoch."""
    warm = max(1, round(WARM_UP * num_epochs))
    parts = [
        LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm),
        CosineAnnealingLR(optimizer, T_max=max(1, num_epochs - warm)),
    ]
    return SequentialLR(optimizer, parts, milestones=[warm])


def size_in(epoch: int, num_epochs: int) -> int:
    """Return the pixels of the training pictures in an epoch, counted from 1."""
    share = (epoch - 0.5) / num_epochs
    return next(size for end, size in SIZES if share < end)


def load_train(train: Labeled, size: int, batch_size: int, seed: int) -> DataLoader:
    """Load the training pictures, cropped, mirrored and recolored at random."""
    steps = [
        v2.RandomResizedCrop(size, scale=(0.4, 1.0)),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
    ]
    data = Pictures(*train, v2.Compose(steps), normalize())
    workers = min(8, os.cpu_count() or 1) if len(data) > 10_000 else 0
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(
        data, batch_size, shuffle=True, drop_last=True, num_workers=workers, generator=generator
    )


def top_accuracies(model: nn.Module, loader: DataLoader, device: torch.device) -> list[float]:
    """Return the shares of pictures whose class is the likeliest, and among the five likeliest."""
    logits, labels = predict(model, loader, device)
    hits = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return [hits[:, :k].any(dim=1).float().mean().item() for k in (1, 5)]


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a state dict as safetensors in half precision: the whole file or none."""
    state = {
        name: value.detach().cpu().half() if value.is_floating_point() else value.cpu()
        for name, value in model.state_dict().items()
    }
    with atomic_write(path) as aside:
        safetensors.torch.save_file(state, aside)


def write_log(rows: list[list[float]], path: Path) -> None:
    """Write a row an epoch."""
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def pretrain(
    folder: Path, out: Path, *, num_epochs: int, batch_size: int, lr: float, seed: int
) -> list[list[float]]:
    """Pretrain on the Tiny ImageNet in `folder`; return the log, a row of `COLUMNS` an epoch."""
    seed_everything(seed)
    device = get_device()
    train, val, classes = read_tiny_imagenet(folder)
    if len(train.labels) < batch_size:
        raise ValueError(f"{len(train.labels)} pictures are less than a batch of {batch_size}")
    val_loader = DataLoader(Pictures(*val, v2.Identity(), normalize()), 500)
    model = build_model(len(classes)).to(device)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY), use_buffers=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = build_optimizer(model, lr)
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(model))
    scheduler = build_scheduler(optimizer, num_epochs)
    parts = {"model": model, "average": average, "optimizer": optimizer, "scheduler": scheduler}

    out.mkdir(parents=True, exist_ok=True)
    recipe = {"num_epochs": num_epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    checkpoint, log = out / "checkpoint.pt", []
    if checkpoint.exists():
        results = load_checkpoint(checkpoint, parts, val_loader)
        if results["recipe"] != recipe:
            raise ValueError(f"{checkpoint} was begun with {results['recipe']}, not {recipe}")
        log = results["log"]
        print(f"going on after epoch {len(log)}")
    for epoch in range(len(log) + 1, num_epochs + 1):
        size, rate = size_in(epoch, num_epochs), optimizer.param_groups[0]["lr"]
        loader = load_train(train, size, batch_size, seed=seed + epoch)
        metrics = train_one_epoch(model, loader, criterion, optimizer, device)
        scheduler.step()
        log.append([epoch, size, rate, metrics.loss, *top_accuracies(average, val_loader, device)])
        save_checkpoint(checkpoint, parts, val_loader, log=log, recipe=recipe)
        write_log(log, out / "log.csv")
        print(
            f"epoch {epoch:3d}/{num_epochs}   {size} px   lr {rate:.4f}   "
            f"loss {metrics.loss:.3f}   top-1 {log[-1][-2]:.3f}   top-5 {log[-1][-1]:.3f}",
            flush=True,
        )
    save_weights(average.module, out / "resnet18_tiny_imagenet.safetensors")
    return log


def main() -> None:
    """Pretrain as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the unpacked tiny-imagenet-200")
    parser.add_argument("out", type=Path, help="folder for the checkpoint, the log, the weights")
    parser.add_argument("--num-epochs", type=int, default=19)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--lr", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = vars(parser.parse_args())
    pretrain(arguments.pop("folder"), arguments.pop("out"), **arguments)


if __name__ == "__main__":
    main()
