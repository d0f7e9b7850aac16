"""fastai's `vision_learner` with its defaults, on the backbone of the others.

One cycle of training of the head (frozen), or `fine_tune`, which trains the head for an epoch
first; 12 epochs. Augmentation as `aug_transforms` does by default; fastai drops the last, short
batch.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from argparse import Namespace
from pathlib import Path

from fastai.vision import all as fastai
from torchvision.models import resnet18

from tools.bench.protocol import WEIGHTS, Run, build, parse


class Lines(fastai.Callback):
    """Print the protocol's line after each epoch."""

    order = 60  # after the recorder, which holds the accuracy then

    def __init__(self, run: Run):
        """Take the clock."""
        self.clock = run

    def after_epoch(self):
        """Print the line."""
        self.clock.line(self.learn.recorder.values[-1][-1])


def pictures(folder: Path) -> list[Path]:
    """List the pictures that torchvision's ImageFolder would: the others know no .gif either."""
    return fastai.get_image_files(folder).filter(lambda path: path.suffix.lower() != ".gif")


def make_learner(args: Namespace) -> fastai.Learner:
    """Read the folders, in batches of 64 or of all training pictures; take the backbone."""
    block = fastai.DataBlock(
        blocks=(fastai.ImageBlock, fastai.CategoryBlock),
        get_items=pictures,
        splitter=fastai.GrandparentSplitter(train_name="train", valid_name="val"),
        get_y=fastai.parent_label,
        item_tfms=fastai.Resize(args.size),
        batch_tfms=fastai.aug_transforms(),
    )
    loaders = block.dataloaders(args.data, bs=min(64, len(pictures(args.data / "train"))))
    options = {"n_out": 2, "metrics": fastai.accuracy}
    if args.backbone != "resnet18":
        file = {"file": str(WEIGHTS[args.backbone])}
        return fastai.vision_learner(loaders, args.backbone, pretrained_cfg_overlay=file, **options)

    def arch(weights: str):
        return build(weights, 2)

    fastai.model_meta[arch] = fastai.model_meta[resnet18]  # where to cut it, how to normalize
    return fastai.vision_learner(loaders, arch, weights=args.backbone, **options)


def main() -> None:
    """Run one task."""
    args = parse(__doc__, size=224)
    run = Run()
    fastai.set_seed(args.seed)
    learner = make_learner(args)
    with learner.no_bar(), learner.no_logging():
        train = learner.fit_one_cycle if args.task == "frozen" else learner.fine_tune
        train(args.epochs or 12, cbs=Lines(run))
    loader = learner.dls.train
    run.end(size=args.size, batch_size=loader.bs, workers=loader.fake_l.num_workers)


if __name__ == "__main__":
    main()
