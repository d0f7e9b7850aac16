"""This book's code, as its chapters call it.

Frozen: the backbone runs once over each picture, without augmentation, and a head is trained on the
features. Fine-tuned: as chapter 4, or, on Lite0, as chapter 7. CIFAR-10: features once, then a
head. There, all 50,000 training pictures are learned from and the test pictures evaluated on, as
the others do.

`--strategy averaged` is a recipe for ResNet-18 that takes longer than chapter 4's and gives more.
First the best head. Then the upper half of the network learns, from its third stage on, at 224
pixels, with AdamW and one cycle of rates; below it nothing is trained, which saves half of the
work. What is evaluated, once, is the moving average of the weights, on each picture and its mirror
image. The settings were chosen by cross-validation on the training pictures.
"""

from argparse import Namespace
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import ConcatDataset, DataLoader

from helpers import assets, data
from helpers.features import extract_features
from helpers.metrics import History
from helpers.models import build, head_of, trainable_parameters, unfreeze_from
from helpers.recipe import fine_tune, fit_logistic_regression, train_network
from helpers.runtime import seed_everything
from helpers.training import evaluate, fit, train_one_epoch
from tools.bench.protocol import STATISTICS, WEIGHTS, Run, parse, trust_cifar10

BATCH_SIZE, HEAD_LR, CPU = 16, 0.02, torch.device("cpu")
LITE_RATES = {"all": 3e-5, "normalization": 1e-3}  # of each strategy: those of the tables
FIRST_TRAINED, AVERAGED_LR, DECAY = "layer3", 3e-4, 0.97


def load(args: Namespace, *, augment: bool = True) -> data.Loaders:
    """Load ants and bees as the backbone wants them."""
    mean, std = STATISTICS[args.backbone]
    return data.image_folders(
        args.data,
        size=args.size,
        batch_size=BATCH_SIZE,
        augment=augment,
        mean=mean,
        std=std,
        seed=args.seed,
    )


def network(args: Namespace, num_classes: int) -> nn.Module:
    """Build the frozen backbone with a new head."""
    return build(args.backbone, num_classes, weights=WEIGHTS[args.backbone], freeze=True)


def print_epochs(run: Run, history: History) -> None:
    """Print the epochs of a training that ends now."""
    end = run.seconds()
    for epoch, accuracy in enumerate(history.val_accuracy, 1):
        run.line(accuracy, end - sum(history.seconds[epoch:]))


def shuffled(features, batch_size: int, args: Namespace) -> DataLoader:
    """Return batches of features in an order that the seed fixes."""
    order = torch.Generator().manual_seed(args.seed)
    return DataLoader(features, batch_size, shuffle=True, generator=order)


def frozen(args: Namespace, run: Run) -> None:
    """Train a head on features of ants and bees; on Lite0 and Lite2, compute the best one."""
    loaders, criterion = load(args, augment=False), nn.CrossEntropyLoss()
    model = network(args, 2)
    train, val = (extract_features(model, part, CPU) for part in (loaders.train, loaders.val))
    val_loader = DataLoader(val, BATCH_SIZE)
    if args.backbone != "resnet18":
        head = fit_logistic_regression(train, 2)
        run.line(evaluate(head, val_loader, criterion, CPU).accuracy)
        return
    head, num_epochs = head_of(model), args.epochs or 12
    optimizer = SGD(head.parameters(), lr=HEAD_LR, momentum=0.9)
    history = fit(
        head,
        shuffled(train, BATCH_SIZE, args),
        val_loader,
        criterion,
        optimizer,
        CPU,
        num_epochs=num_epochs,
        scheduler=CosineAnnealingLR(optimizer, T_max=num_epochs),
        verbose=False,
    )
    print_epochs(run, history)


def fine_tuned(args: Namespace, run: Run) -> None:
    """Fine-tune on ants and bees as chapter 4 does, or chapter 7 with Lite0 and Lite2."""
    if args.backbone != "resnet18":
        rate = LITE_RATES[args.strategy]
        *_, history = fine_tune(
            partial(load, args),
            args.backbone,
            args.strategy,
            num_epochs=args.epochs or 6,
            lr=rate,
            head_lr=rate,
            seed=args.seed,
        )
    else:
        weights, num_epochs = WEIGHTS["resnet18"], args.epochs or 12
        *_, history = train_network(
            partial(load, args), weights=weights, num_epochs=num_epochs, seed=args.seed
        )
    print_epochs(run, history)


class BothWays(nn.Module):
    """Averages what a model predicts for pictures `(B, 3, H, W)` and for their mirror images."""

    def __init__(self, model: nn.Module):
        """Wrap this model."""
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities, `(B, num_classes)`."""
        views = self.model(inputs).softmax(dim=1), self.model(inputs.flip(3)).softmax(dim=1)
        return torch.stack(views).mean(dim=0).log()


def averaged(args: Namespace, run: Run) -> None:
    """Fine-tune the upper half of ResNet-18 and evaluate the moving average of its weights."""
    train, whole = load(args).train, load(args, augment=False)
    model, num_epochs = network(args, 2).to(memory_format=torch.channels_last), args.epochs or 7
    head = fit_logistic_regression(extract_features(model, whole.train, CPU), 2)
    head_of(model).load_state_dict(head.state_dict())
    unfreeze_from(model, FIRST_TRAINED)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)

    criterion, optimizer = nn.CrossEntropyLoss(), AdamW(trainable_parameters(model))
    scheduler = OneCycleLR(optimizer, AVERAGED_LR, total_steps=num_epochs * len(train))
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(model))
    for _ in range(num_epochs):
        train_one_epoch(model, train, criterion, optimizer, CPU)
    run.line(evaluate(BothWays(average), whole.val, criterion, CPU).accuracy)


def cifar10(args: Namespace, run: Run) -> None:
    """Train a head on features of CIFAR-10, its pictures enlarged to `args.size`."""
    trust_cifar10()
    assets.photographs_folder = lambda: args.data  # as the others: a folder that has it
    model = network(args, 10)
    batch_size = (
        BATCH_SIZE if args.backbone != "resnet18" else 250
    )  # Lite0 takes twice as long with 250
    mean, std = STATISTICS[args.backbone]
    options = {"size": args.size, "batch_size": batch_size, "seed": args.seed}
    loaders = data.cifar10(edition="photos", mean=mean, std=std, **options)
    parts = (loaders.split(name) for name in ("train", "val", "test"))
    train, val, test = (extract_features(model, loader, CPU) for loader in parts)
    head, criterion = head_of(model), nn.CrossEntropyLoss()
    batches = shuffled(ConcatDataset([train, val]), 100, args), DataLoader(test, 100)
    optimizer, num_epochs = Adam(head.parameters(), lr=1e-3), args.epochs or 5
    print_epochs(
        run, fit(head, *batches, criterion, optimizer, CPU, num_epochs=num_epochs, verbose=False)
    )


def main() -> None:
    """Run one task."""
    args = parse(__doc__, size=96, strategy="all")
    run = Run()
    seed_everything(args.seed)
    tasks = {"frozen": frozen, "fine-tuned": fine_tuned, "cifar10": cifar10}
    (averaged if args.strategy == "averaged" else tasks[args.task])(args, run)
    run.end(size=args.size, batch_size=100 if args.task == "cifar10" else BATCH_SIZE)


if __name__ == "__main__":
    main()
