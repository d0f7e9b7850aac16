"""This book's code, with a recipe for ResNet-18 that takes longer than chapter 4's and gives more.

First the best head. Then all of the network learns, with AdamW, one cycle of rates and smoothed
labels. What is evaluated is the moving average of its weights, on pictures a little larger than
those that it trained on, since random crops enlarge what they show (Touvron et al., 2019,
arXiv:1906.06423), and on their mirror images. The settings were chosen by cross-validation on the
training pictures.
"""

import time

import torch
from protocol import BACKBONES, Run, parse
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from book import BATCH_SIZE, CPU, first
from helpers import data
from helpers.features import extract_features
from helpers.models import parameter_groups, resnet18
from helpers.recipe import best_head
from helpers.runtime import seed_everything
from helpers.training import evaluate, train_one_epoch

EPOCHS = {"fine-tuned": 12}
TRAIN_SIZE, SIZE = 112, 128
LR, HEAD_LR, SMOOTHING, DECAY = 1.5e-3, 2e-3, 0.1, 0.97


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
    options = {"batch_size": BATCH_SIZE, "seed": args.seed}
    loaders = data.image_folders(args.data, size=TRAIN_SIZE, **options)
    whole = data.image_folders(args.data, size=TRAIN_SIZE, augment=False, **options).train
    val = first(data.image_folders(args.data, size=SIZE, **options).val, args.max_batches)
    num_classes, num_batches = len(loaders.class_names), args.max_batches or len(loaders.train)

    model = resnet18(num_classes, weights=BACKBONES["resnet18"].weights)
    model.to(memory_format=torch.channels_last)
    features = extract_features(model, first(whole, args.max_batches), CPU)
    model.fc.load_state_dict(best_head(features, num_classes).state_dict())
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)

    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    optimizer = AdamW(parameter_groups(model, lr=LR, head_lr=HEAD_LR))
    rates = [group["lr"] for group in optimizer.param_groups]
    scheduler = OneCycleLR(optimizer, rates, total_steps=args.epochs * num_batches)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(model))
    run.ready()
    for _ in range(args.epochs):
        start, loader = time.perf_counter(), loaders.train
        train_one_epoch(model, loader, criterion, optimizer, CPU, max_batches=args.max_batches)
        seconds = time.perf_counter() - start
        found = evaluate(BothWays(averaged), val, nn.CrossEntropyLoss(), CPU)
        run.line(seconds, min(num_batches * BATCH_SIZE, len(loader.dataset)), found.accuracy)
    run.end(size=TRAIN_SIZE, batch_size=BATCH_SIZE)


if __name__ == "__main__":
    main()
