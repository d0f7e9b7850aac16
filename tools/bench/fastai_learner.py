"""fastai's `vision_learner` with its defaults, on the backbone of the others.

One cycle of training of the head (frozen), or `fine_tune`, which trains the head for an epoch
first. Augmentation as `aug_transforms` does by default; fastai drops the last, short batch.
"""

import time
from argparse import Namespace
from pathlib import Path

from fastai.vision.all import (
    Callback,
    CancelTrainException,
    CancelValidException,
    CategoryBlock,
    DataBlock,
    DataLoaders,
    GrandparentSplitter,
    ImageBlock,
    Learner,
    Resize,
    aug_transforms,
    get_image_files,
    parent_label,
    set_seed,
    vision_learner,
)
from fastai.vision.learner import model_meta
from torchvision.models import resnet18

from tools.bench.protocol import BACKBONES, Run, parse, pretrained

EPOCHS = {"frozen": 12, "fine-tuned": 12}


class Lines(Callback):
    """Print the protocol's line after each epoch; stop a pass after `max_batches`."""

    def __init__(self, run: Run, max_batches: int | None):
        """Take the clock, and how many batches a pass may have (None: all)."""
        self.clock, self.max_batches = run, max_batches

    def before_epoch(self):
        """Note when the epoch began; count from nothing."""
        self.began, self.trained, self.correct, self.seen = time.perf_counter(), 0, 0, 0

    def before_batch(self):
        """Stop where enough batches were seen."""
        if self.max_batches is not None and self.iter >= self.max_batches:
            raise CancelTrainException if self.training else CancelValidException

    def after_batch(self):
        """Count the pictures trained on, or those evaluated and got right."""
        labels = self.yb[0]
        if self.training:
            self.trained += len(labels)
        else:
            self.correct += (self.pred.argmax(dim=1) == labels).sum().item()
            self.seen += len(labels)

    def after_train(self):
        """Note how long the training took."""
        self.train_seconds = time.perf_counter() - self.began

    def after_epoch(self):
        """Print the line."""
        self.clock.line(self.train_seconds, self.trained, self.correct / self.seen)


def pictures(folder: Path) -> list[Path]:
    """List the pictures that torchvision's ImageFolder would: the others know no .gif either."""
    return get_image_files(folder).filter(lambda path: path.suffix.lower() != ".gif")


def read(args: Namespace) -> DataLoaders:
    """Read the folders; batches of 64, or of all training pictures if they are fewer."""
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=pictures,
        splitter=GrandparentSplitter(train_name="train", valid_name="val"),
        get_y=parent_label,
        item_tfms=Resize(args.size),
        batch_tfms=aug_transforms(),
    )
    num_train = len(pictures(args.data / "train"))
    return block.dataloaders(args.data, bs=min(64, num_train))


def build(args: Namespace, loaders: DataLoaders) -> Learner:
    """Give `vision_learner` the backbone: a network of timm's by its name, or an architecture."""
    if args.backbone != "resnet18":
        file = {"file": str(BACKBONES[args.backbone].weights)}
        return vision_learner(loaders, args.backbone, n_out=2, pretrained_cfg_overlay=file)

    def arch(weights: str):
        return pretrained(weights)

    model_meta[arch] = model_meta[resnet18]  # where to cut and split it, how to normalize
    return vision_learner(loaders, arch, weights=args.backbone, n_out=2)


def main() -> None:
    """Run one task."""
    args = parse(__doc__, EPOCHS, size=224)
    run = Run()
    set_seed(args.seed)
    loaders = read(args)
    learner = build(args, loaders)
    lines = Lines(run, args.max_batches)
    run.ready()
    with learner.no_bar(), learner.no_logging():
        if args.task == "frozen":
            learner.fit_one_cycle(args.epochs, cbs=lines)
        else:
            learner.fine_tune(args.epochs, cbs=lines)
    run.end(size=args.size, batch_size=loaders.bs, workers=loaders.train.fake_l.num_workers)


if __name__ == "__main__":
    main()
