"""This book's code, with a recipe for ResNet-18 that takes longer than chapter 4's and gives more.

First the best head. Then the upper half of the network learns, from its third stage on, at 224
pixels, with AdamW and one cycle of rates; below it nothing is trained, which saves half of the
work. What is evaluated, once, is the moving average of the weights, on each picture and its mirror
image. The settings were chosen by cross-validation on the training pictures.
"""

import time

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers import data
from helpers.features import extract_features
from helpers.models import resnet18, trainable_parameters, unfreeze_from
from helpers.recipe import fit_logistic_regression
from helpers.runtime import seed_everything
from helpers.training import evaluate, train_one_epoch
from tools.bench.book import BATCH_SIZE, CPU, first
from tools.bench.protocol import BACKBONES, Run, parse

EPOCHS = {"fine-tuned": 7}
SIZE, FIRST_TRAINED, LR, DECAY = 224, "layer3", 3e-4, 0.97


class BothWays(nn.Module):
    """Averages what a model says of pictures `(B, 3, H, W)` and of their mirror images."""

    def __init__(self, model: nn.Module):
        """Ask this model."""
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities, `(B, num_classes)`."""
        views = self.model(inputs).softmax(dim=1), self.model(inputs.flip(3)).softmax(dim=1)
        return torch.stack(views).mean(dim=0).log()


def main() -> None:
    """Fine-tune on ants and bees."""
    args = parse(__doc__, EPOCHS)
    run = Run()
    seed_everything(args.seed)
    options = {"size": SIZE, "batch_size": BATCH_SIZE, "seed": args.seed}
    train = data.image_folders(args.data, **options).train
    whole = data.image_folders(args.data, augment=False, **options)
    num_classes, num_batches = len(whole.class_names), args.max_batches or len(train)

    model = resnet18(num_classes, weights=BACKBONES["resnet18"].weights, freeze=True)
    model.to(memory_format=torch.channels_last)
    features = extract_features(model, first(whole.train, args.max_batches), CPU)
    model.fc.load_state_dict(fit_logistic_regression(features, num_classes).state_dict())
    unfreeze_from(model, FIRST_TRAINED)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)

    criterion = nn.CrossEntropyLoss()
    optimizer = AdamW(trainable_parameters(model))
    scheduler = OneCycleLR(optimizer, LR, total_steps=args.epochs * num_batches)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(model))
    run.ready()
    start, limit = time.perf_counter(), args.max_batches
    for _ in range(args.epochs):
        train_one_epoch(model, train, criterion, optimizer, CPU, max_batches=limit)
    seconds = time.perf_counter() - start
    found = evaluate(BothWays(averaged), whole.val, criterion, CPU, max_batches=limit)
    run.line(
        seconds, args.epochs * min(num_batches * BATCH_SIZE, len(train.dataset)), found.accuracy
    )
    run.end(size=SIZE, batch_size=BATCH_SIZE)


if __name__ == "__main__":
    main()
